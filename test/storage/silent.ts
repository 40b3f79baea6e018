/** A log that nobody reads. */
export const silent = { info: (): void => undefined, warn: (): void => undefined }
