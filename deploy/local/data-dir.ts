/** DATA_DIR: one `npm start` at a time, and what `--fresh` forgets. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LocalStackFault } from './child.ts'
import { commandOf, waitForLeftover } from './leftovers.ts'

/**
 * Takes the directory for this process.
 * @returns what gives it back
 * @throws {LocalStackFault} another start uses it, or it cannot be written
 */
export const lockDataDir = (dir: string): (() => void) => {
  const file = join(dir, 'lock')
  try {
    mkdirSync(dir, { recursive: true })
    const owner = ownerOf(file)
    if (owner !== undefined && commandOf(owner).includes('start.ts')) {
      throw new LocalStackFault(`npm start already runs on ${dir} (pid ${owner}): stop that one, or set DATA_DIR to another directory`)
    }
    rmSync(file, { force: true })
    writeFileSync(file, String(process.pid), { flag: 'wx' })
  } catch (cause) {
    if (cause instanceof LocalStackFault) throw cause
    throw new LocalStackFault(`DATA_DIR ${dir} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  return () => rmSync(file, { force: true })
}

const ownerOf = (file: string): number | undefined => {
  try {
    const pid = Number(readFileSync(file, 'utf8'))
    return pid > 1 && pid !== process.pid ? pid : undefined
  } catch {
    return undefined // nobody's
  }
}

/** Only what the local stack made: whatever else lies in DATA_DIR stays. */
export const forgetData = async (dir: string): Promise<void> => {
  await waitForLeftover(join(dir, 'kafka/pid'), join(dir, 'kafka'))
  await waitForLeftover(join(dir, 'postgres/pid'), join(dir, 'postgres'))
  for (const name of ['kafka', 'postgres', 'simulators.json', 'logs', 'run.json']) rmSync(join(dir, name), { recursive: true, force: true })
}

/** The map that `npx unrip` reads; it holds the database's password. */
export const runFile = (dir: string): { write(ready: object): void; remove(): void } => {
  const file = join(dir, 'run.json')
  return {
    write: (ready) => writeFileSync(file, `${JSON.stringify(ready, null, 2)}\n`, { mode: 0o600 }),
    remove: () => rmSync(file, { force: true }),
  }
}
