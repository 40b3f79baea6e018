import { sql } from 'slonik'
import type { CommonQueryMethods } from 'slonik'
import { z } from 'zod'

const Process = z.object({ process: z.string(), release: z.string(), url: z.string(), state: z.string() })
export type ProcessReading = z.infer<typeof Process>

/** Processes of a service whose lease has not run out, whatever they do. */
export const readProcesses = (db: CommonQueryMethods, service: string): Promise<readonly ProcessReading[]> =>
  db.any(sql.type(Process)`
    SELECT process::text, release, url, state FROM seen.process WHERE service = ${service} AND expires_at > clock_timestamp() ORDER BY process`)

const Release = z.object({ release: z.string(), runs: z.array(z.string()), at: z.string() })
export type ReleaseReading = z.infer<typeof Release>

/** The releases of a service, latest first, with the machines that each ran: `<kind> <version> <structure hash>`. */
export const readReleases = (db: CommonQueryMethods, service: string): Promise<readonly ReleaseReading[]> =>
  db.any(sql.type(Release)`SELECT release, runs, at FROM seen.release WHERE service = ${service} ORDER BY at DESC`)
