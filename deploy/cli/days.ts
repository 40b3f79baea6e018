import { CliFailure } from '#control/cli/failure.ts'
import type { Sources } from '#control/cli/readings.ts'
import { printableUrl } from '#control/telemetry/redact.ts'
import { dropDays } from '#storage/days.ts'

/** @throws {CliFailure} nobody said where the database is, it does not answer, or its role does not own the tables */
export const dropOldDays = async ({ database }: Sources, keepDays: number): Promise<string[]> => {
  if (database === undefined) throw new CliFailure('NO_DATABASE', 'set DATABASE_URL, or start with npm start')
  try {
    return await dropDays({ adminUrl: database, keepDays, log: { info: () => undefined } })
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string }
    if (code === '42501')
      throw new CliFailure('NOT_OURS', `${printableUrl(database)}: ${message}: use the role that migrates`, { cause: error })
    throw new CliFailure('NO_DATABASE', `${printableUrl(database)}: ${message}`, { cause: error })
  }
}
