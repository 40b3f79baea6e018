import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { LaneTaken, StoreFence } from '#actors/runtime/store-port.ts'

/** What is remembered of a lane: who it was when it was last taken here. */
const Remembered = z.object({
  incarnation: z.string(),
  epoch: z.int(),
  /** why the database was not trusted; stays until a person has reconciled, whatever its epochs have grown to since */
  disagreement: z.string().nullable().default(null),
})
const File = z.object({ lanes: z.record(z.string(), Remembered) })
type Lanes = z.infer<typeof File>['lanes']

/**
 * The executor's memory beside the database: `fence.json` in a directory that is not restored together with it. PostgreSQL is what
 * knows the commands; this only tells when it is not the PostgreSQL that was worked on (a restored backup, another volume), or when
 * the directory itself was lost. Then already sent commands could look new, so nothing is armed until a person has looked.
 *
 * F1. A lane agrees when it has the incarnation remembered and a higher epoch, or when nothing is remembered and it is new.
 * F2. A disagreement outlives restarts; only `accept` ends it.
 * F3. What cannot be read or written is a disagreement. The file is replaced whole, and is on disk before the lane's first turn.
 * F4. Executors that share the lanes share the directory: a lane taken elsewhere is one that was not remembered here.
 *
 * @param directory EXECUTOR_STATE_DIR; undefined: everything agrees
 */
export const storeFence = (directory: string | undefined): StoreFence => {
  if (directory === undefined) return { taken: () => null, accept: () => {} }
  const path = join(directory, 'fence.json')

  const remember = ({ lane, incarnation, epoch }: LaneTaken, disagreement: string | null): void =>
    replace(directory, path, { lanes: { ...read(path), [lane]: { incarnation, epoch, disagreement } } })

  return {
    taken: (lane) => {
      try {
        const disagreement = compare(read(path), lane, path)
        remember(lane, disagreement)
        return disagreement
      } catch (error) {
        return `${path}: ${error instanceof Error ? error.message : String(error)}`
      }
    },
    accept: (lane) => {
      try {
        remember(lane, null)
      } catch (error) {
        // One that cannot be read is begun anew: the other lanes then disagree until they are accepted too.
        if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error
        replace(directory, path, { lanes: { [lane.lane]: { incarnation: lane.incarnation, epoch: lane.epoch, disagreement: null } } })
      }
    },
  }
}

const compare = (lanes: Lanes | null, { lane, epoch, incarnation, turn }: LaneTaken, path: string): string | null => {
  const known = lanes?.[lane]
  if (!known)
    return turn === 0 ? null : `the database has ${turn} turns of this lane, and ${path} ${lanes ? 'has not heard of it' : 'is not there'}`
  if (known.disagreement !== null) return known.disagreement
  if (known.incarnation !== incarnation) return `the database has incarnation ${incarnation}, ${path} has ${known.incarnation}`
  if (known.epoch >= epoch) return `the database has epoch ${epoch}, and ${path} has seen ${known.epoch}: the database is an older one`
  return null
}

/** Null: there is no file. @throws {SyntaxError | z.ZodError} it cannot be read */
const read = (path: string): Lanes | null => {
  try {
    return File.parse(JSON.parse(readFileSync(path, 'utf8'))).lanes
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

const replace = (directory: string, path: string, file: z.infer<typeof File>): void => {
  mkdirSync(directory, { recursive: true })
  const next = `${path}.${process.pid}.tmp`
  writeFileSync(next, `${JSON.stringify(file, null, 2)}\n`, { flush: true })
  renameSync(next, path)
  // The new name itself is only durable with its directory.
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
