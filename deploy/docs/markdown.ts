/** A table whose cells may hold anything. */
export const table = (heading: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heading, heading.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |`).join('\n')

const cell = (text: string): string => text.replaceAll('\n', ' ').replaceAll('|', '\\|')

export const code = (text: string): string => `\`${text}\``
