/** The command did not do what it was asked. One sentence with the ids in it; the process ends with 1. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure'
  readonly code: string

  /** what was asked for is on stdout already, and says why */
  readonly reported: boolean

  constructor(code: string, message: string, { reported = false, ...options }: ErrorOptions & { readonly reported?: boolean } = {}) {
    super(message, options)
    this.code = code
    this.reported = reported
  }
}
