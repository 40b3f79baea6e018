import { z } from 'zod'

const words = z.string().trim().min(1)

/** What every service reads of its environment, to spread into its own object. Empty strings are refused. */
export const CommonEnv = {
  KAFKA_BROKERS: words.regex(/^[^\s,]+:\d{1,5}(\s*,\s*[^\s,]+:\d{1,5})*$/, 'a comma list of host:port').describe('comma list of host:port'),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).describe("read-write, as this service's own role; never logged"),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info').describe('pino level'),
  POD_NAMESPACE: words.default('local').describe("Kubernetes' namespace, on every line of the log"),
  CONTROL_HOST: words.default('127.0.0.1').describe('address of the control API'),
  // `z.coerce` alone makes 0 of an empty string, which would be a port that nobody knows.
  CONTROL_PORT: words.pipe(z.coerce.number<string>().int().min(0).max(65_535)).default(0).describe('0 picks a free port'),
  CONTROL_TOKEN: words.optional().describe('bearer token for every route but /healthz and /readyz; without it loopback only'),
  RELEASE: words.optional().describe('a new value makes strategy and executor start disarmed; unset is always new'),
  LANES: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(4)
    .describe('partitions of every keyed topic; stored, and another value refuses to start'),
}
