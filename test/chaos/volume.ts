/** A volume of its own for the database, which can be made full without filling anybody else's. Linux, as root. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, statfsSync } from 'node:fs'

export interface Volume {
  /** Not one more block: what is there stays. */
  fill(): void
  makeSpace(): void
  unmount(): void
}

const SIZE_BYTES = 4 * 1024 ** 3
const TRIES = 20

/** Mounts one at `dir`. It takes memory only for what is in it. @returns why not, where it cannot be */
export const mountVolume = (dir: string): Volume | string => {
  const mount = (...args: string[]): void => void execFileSync('mount', [...args, dir], { stdio: ['ignore', 'ignore', 'pipe'] })
  const resize = (bytes: number): void => mount('-o', `remount,size=${bytes}`)
  if (process.platform !== 'linux') return `no volume can be mounted on ${process.platform}`
  mkdirSync(dir, { recursive: true })
  try {
    mount('-t', 'tmpfs', '-o', `size=${SIZE_BYTES},mode=0755`, 'unrip-chaos')
  } catch (error) {
    return `no volume can be mounted here: ${error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)}`
  }
  return {
    fill: () => {
      for (let tries = 1; ; tries++) {
        const { blocks, bfree, bsize } = statfsSync(dir)
        try {
          return resize((blocks - bfree) * bsize)
        } catch (error) {
          // Something was written in between, and it would be too small for what it holds.
          if (tries === TRIES) throw error
        }
      }
    },
    makeSpace: () => resize(SIZE_BYTES),
    // Lazily: a process that is on its way out may still have a file open.
    unmount: () => void execFileSync('umount', ['-l', dir], { stdio: 'ignore' }),
  }
}
