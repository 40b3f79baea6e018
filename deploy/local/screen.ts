/** What `npm start` prints. With --json stdout holds JSON objects only and people read stderr; otherwise people read stdout. */
export type Screen = {
  /** an event for programs; `text` is the same for people, where they are to see it */
  event(event: Readonly<Record<string, unknown>> & { readonly event: string }, text?: string): void
  /** for people only */
  note(text: string): void
  /** what went wrong, for people, always to stderr */
  fault(text: string): void
}

export const openScreen = (json: boolean): Screen => {
  const people = json ? process.stderr : process.stdout
  const note = (text: string): void => void people.write(`${text}\n`)
  return {
    event: (event, text) => {
      if (json) process.stdout.write(`${JSON.stringify(event)}\n`)
      if (text !== undefined) note(text)
    },
    note,
    fault: (text) => void process.stderr.write(`${text}\n`),
  }
}

/** Columns padded to their widest cell. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
