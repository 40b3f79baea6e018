/** Rows under a heading, columns as wide as they need to be. */
export const table = (heading: readonly string[], rows: readonly (readonly string[])[]): string => {
  const all = [heading, ...rows]
  const widths = heading.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `12 ms`, `3.2 s`, `4 min` */
export const duration = (ms: number): string => {
  if (Math.abs(ms) < 1_000) return `${Math.round(ms)} ms`
  if (Math.abs(ms) < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  return `${Math.round(ms / 60_000)} min`
}

/** ms of a date or a time as ISO 8601 writes it, else NaN: `Date.parse` alone makes a day in 2001 of "-1". */
export const timeOf = (text: string): number => (/^\d{4}-\d\d/.test(text) ? Date.parse(text) : NaN)
