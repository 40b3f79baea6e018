import { fstatSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startSimulators } from './start.ts'

/*
 * The venues, pretended, in one process that speaks their real wire protocols. See the end of this file's header for the admin API.
 */
export { startSimulators } from './start.ts'
export type { Endpoints, SimulatorOptions, Simulators } from './start.ts'

const run = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      'port-base': { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '2' },
      scenario: { type: 'string', default: 'default' },
      'state-file': { type: 'string' },
      'balance-scale': { type: 'string', default: '1' },
    },
  })
  const simulators = await startSimulators({
    portBase: number('port-base', values['port-base']),
    seed: number('seed', values.seed),
    rate: number('rate', values.rate),
    scenario: values.scenario === 'manual' ? 'manual' : 'default',
    stateFile: values['state-file'],
    balanceScale: number('balance-scale', values['balance-scale']),
  })
  process.stdout.write(`${JSON.stringify({ event: 'ready', ...simulators.endpoints })}\n`)
  let ending = false
  const end = (): void => {
    if (ending) return
    ending = true
    void simulators.close().then(() => process.exit(0))
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  // The parent holds our stdin: when it dies, however it dies, we go too.
  if (isPipe(0)) process.stdin.on('end', end).on('close', end).on('error', end).resume()
}

/** A terminal or /dev/null as stdin says nothing about a parent. */
const isPipe = (descriptor: number): boolean => {
  const kind = fstatSync(descriptor)
  return kind.isFIFO() || kind.isSocket()
}

const number = (name: string, text: string): number => {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0) throw new RangeError(`--${name} must be a number, not ${JSON.stringify(text)}`)
  return value
}

if (import.meta.main)
  run().catch((error: unknown) => {
    process.stderr.write(`simulators: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  })
