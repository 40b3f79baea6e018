/** The command did not do what it was asked. One sentence with the ids in it; the process ends with 1. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure'
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
