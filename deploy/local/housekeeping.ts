/** What only grows and is no longer needed goes while the system runs: days that are over, one by one. */
import { dropDays } from '#storage/days.ts'
import type { Screen } from './screen.ts'

const EVERY_MS = 3_600_000

export type Housekeeping = {
  /** Resolves when nothing of it is under way. */
  stop(): Promise<void>
}

/** At once and every hour; what fails is said and tried again an hour later. */
export const keepHouse = (adminUrl: string, keepDays: number, screen: Pick<Screen, 'note'>): Housekeeping => {
  const log = { info: (_: object, text: string) => screen.note(text) }
  const sweep = (): Promise<void> =>
    dropDays({ adminUrl, keepDays, log }).then(
      () => undefined,
      (error: unknown) => screen.note(`old days could not be dropped: ${error instanceof Error ? error.message : String(error)}`),
    )
  let running = sweep()
  const timer = setInterval(() => (running = running.then(sweep)), EVERY_MS)
  return {
    stop: async () => {
      clearInterval(timer)
      await running
    },
  }
}
