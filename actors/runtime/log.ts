import type { Log } from './ports.ts'

/** The same log with fields that every line of it carries; what a line says itself wins. */
export const tagged = (log: Log, fields: object): Log => ({
  debug: (more, text) => log.debug({ ...fields, ...more }, text),
  info: (more, text) => log.info({ ...fields, ...more }, text),
  warn: (more, text) => log.warn({ ...fields, ...more }, text),
  error: (more, text) => log.error({ ...fields, ...more }, text),
})

/** Of what is tried again and again: the first, second, fourth, eighth … is worth a line at its level, the others only for debugging. */
export const repeatedly = (log: Log, tries: number): Log['warn'] => ((tries & (tries - 1)) === 0 ? log.warn : log.debug)
