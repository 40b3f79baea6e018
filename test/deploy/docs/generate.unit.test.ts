import { expect, test } from 'vitest'
import { z } from 'zod'
import { COUNTERS } from '#control/telemetry/metric-table.ts'
import { configPage } from '#deploy/docs/config-page.ts'
import { readConfigs, variables } from '#deploy/docs/configs.ts'
import { stalePages } from '#deploy/docs/generate.ts'
import { metricsPage } from '#deploy/docs/metrics-page.ts'
import { topicsPage } from '#deploy/docs/topics-page.ts'
import { topicNames } from '#machines/contracts/topics.ts'

test('the committed pages are what the code says; otherwise npm run docs writes them', async () => {
  expect(await stalePages()).toEqual([])
})

const Env = z
  .object({
    DATABASE_URL: z.url().describe('read-write; never logged'),
    THRESHOLD_BPS: z.coerce.number().int().positive().default(200).describe('gross edge that an offer must leave'),
    STRICT_AUDIT: z.stringbool().optional().describe('on when any venue is real'),
    FALLBACK: z.enum(['deny', 'allow']).default('deny'),
    TOKEN_IDS: z
      .string()
      .default('a,b')
      .transform((ids) => ids.split(',')),
    NODES: z
      .string()
      .transform((list) => list.split(','))
      .pipe(z.array(z.string()))
      .default(['x', 'y']),
    SIGNING_KEY: z.string().default('ed25519:simulated'),
  })
  .readonly()

test('a schema tells name, type behind a coercion, default, whether it is required, and meaning', () => {
  const by = Object.fromEntries(variables(Env).map(({ name, ...rest }) => [name, rest]))
  expect(by['DATABASE_URL']).toEqual({ type: 'URL', fallback: undefined, required: true, meaning: 'read-write; never logged' })
  expect(by['THRESHOLD_BPS']).toEqual({
    type: 'whole number above 0',
    fallback: '200',
    required: false,
    meaning: 'gross edge that an offer must leave',
  })
  expect(by['STRICT_AUDIT']).toMatchObject({ type: '`true`, `false`', fallback: undefined, required: false })
  expect(by['FALLBACK']).toMatchObject({ type: '`deny`, `allow`', fallback: 'deny' })
  expect(by['NODES']).toMatchObject({ type: 'comma list', fallback: 'x,y', required: false })
  expect(by['TOKEN_IDS']).toMatchObject({ type: 'text', fallback: 'a,b' })
})

test('a variable stands once, with the programs that read it, defaults that differ, and no secret', () => {
  const one = { program: 'strategy-engine', variables: variables(z.object({ CONTROL_PORT: z.coerce.number().int().default(4106) })) }
  const two = {
    program: 'trade-executor',
    variables: variables(Env.unwrap().extend({ CONTROL_PORT: z.coerce.number().int().default(4107) })),
  }
  const page = configPage([one, two])
  expect(page.match(/^\| `CONTROL_PORT`/gm)).toHaveLength(1)
  expect(page).toContain('`4106` (strategy-engine); `4107` (trade-executor)')
  expect(page).toContain('every service')
  expect(page).not.toContain('ed25519:simulated')
  expect(page).toContain('| `DATABASE_URL` | URL | required | read-write; never logged | trade-executor |')
})

test('a service without a config is left out', async () => {
  expect(await readConfigs('/nonexistent', ['strategy-engine'])).toEqual([])
})

test('every topic and every metric is on its page, keys shown by the fields they are made of', () => {
  const page = topicsPage()
  for (const name of topicNames) expect(page).toContain(`### ${name}\n`)
  expect(page).toContain('| `cmd.execute_trade` | `execute_trade` | `<execution_key>` | `near_intents:<pair>` | 168 h | yes |')
  for (const name of Object.keys(COUNTERS)) expect(metricsPage()).toContain(`| \`${name}\` |`)
})
