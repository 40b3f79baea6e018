import { pino } from 'pino'
import type { DestinationStream } from 'pino'
import { printable, printableText } from './redact.ts'
import { HIDDEN } from './secret.ts'
import type { Secret } from './secret.ts'

/** One line a call. `fields` are names of the project's table of words; `text` is one sentence for people. */
export interface Logger {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
  /** The same log with fields that every line of it carries; what a call says itself wins. */
  child(fields: object): Logger
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

interface LogOptions {
  readonly service: string
  readonly level: LogLevel
  /** Kubernetes' namespace; `local` elsewhere */
  readonly namespace?: string
  /** Values that are removed wherever they turn up, beside what is told by name and by form. */
  readonly secrets?: readonly Secret[]
  /** stdout, written synchronously, unless a test gives its own */
  readonly destination?: DestinationStream
}

/**
 * The log of one process: one JSON object a line.
 *
 * G1. Every line has `level` (a word), `time` (ISO 8601), `service`, `namespace`, `component`, `event`, `venue`, `topic`, `pair`,
 *     `correlation_id`, null where one does not apply; then the fields of the body (`quote_id`, `command_id` …); then `msg`.
 * G2. No line holds a secret: see `redact.ts`. Loggers have no way to pass redaction rules of their own.
 * G3. Logging never throws and never loses the last line before a crash (synchronous writes).
 */
export const makeLog = ({ service, level, namespace = 'local', secrets = [], destination }: LogOptions): Logger => {
  const lines = pino(
    {
      level,
      base: { service, namespace },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? pino.destination({ dest: 1, sync: true }),
  )
  const hide = hider(secrets)
  const logger = (bound: object): Logger => {
    const write = (at: 'debug' | 'info' | 'warn' | 'error') => (fields: object, text: string) => {
      if (!lines.isLevelEnabled(at)) return
      lines[at](hide(line({ ...bound, ...named(fields) })), String(hide(printableText(text))))
    }
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => logger({ ...bound, ...named(fields) }),
    }
  }
  return logger({})
}

const STABLE = { component: null, event: null, venue: null, topic: null, pair: null, correlation_id: null }
/** Names that the line itself has: a field of that name would stand twice in it. */
const TAKEN = new Set(['level', 'time', 'service', 'namespace', 'msg'])

const line = (fields: object): object => {
  const shown = printable(fields)
  const body = typeof shown === 'object' && shown !== null ? shown : { unreadable: shown }
  const renamed = Object.entries(body).map(([name, value]) => [TAKEN.has(name) ? `field_${name}` : name, value])
  return { ...STABLE, ...Object.fromEntries(renamed) }
}

/** An error given as the fields is meant as the error. */
const named = (fields: object): object => (fields instanceof Error ? { error: fields } : fields)

/** Replaces given values in every string of an object, whatever field they came in. Short ones would hide half of the language. */
const hider = (secrets: readonly Secret[]) => {
  const values = secrets.map((secret) => secret.reveal()).filter((value) => value.length >= 8)
  const hidden = (value: string): string => values.reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), value)
  const walk = <T>(value: T): T => {
    if (typeof value === 'string') return hidden(value) as T
    if (Array.isArray(value)) return value.map(walk) as T
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [hidden(name), walk(item)])) as T
  }
  return values.length === 0 ? <T>(value: T): T => value : walk
}
