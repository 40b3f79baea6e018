import { textOf } from '#actors/runtime/faults.ts'
import { mutantNamed, mutantWorld } from './mutation.ts'
import type { Ran } from './world.ts'
import { run } from './world.ts'

/** One world to run. */
export interface Job {
  readonly seed: number
  readonly steps: number
  /** the name of an edit of the source that it runs with */
  readonly mutant?: string
  /** answers with the event trace too */
  readonly traced?: boolean
}

export interface Done {
  readonly ran: Ran
  /** `milliseconds process what`, a line an event; empty unless asked for */
  readonly events: readonly string[]
}

/** @throws {MutantDoesNotFit} */
export const work = async ({ seed, steps, mutant, traced }: Job): Promise<Done> => {
  const events: string[] = []
  const world = mutant === undefined ? { run } : await mutantWorld(mutantNamed(mutant))
  const ran = await orStumbles(seed, world.run({ seed, steps, ...(traced ? { heard: (line: string) => void events.push(line) } : {}) }))
  return { ran, events }
}

/** What nobody caught is wrong in the world that threw it; it would end the process. */
const orStumbles = (seed: number, running: Promise<Ran>): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const stumbled = (error: unknown): void =>
      resolve({ seed, trace: '', violations: [`nobody caught: ${error instanceof Error ? error.stack : textOf(error)}`], counts: {} })
    process.on('uncaughtException', stumbled)
    running.then(resolve, reject).finally(() => process.removeListener('uncaughtException', stumbled))
  })
