import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { controlAt } from './control.ts'

const Running = z.looseObject({ event: z.literal('host.running'), url: z.string() })

/** A second process of a running service, with the same environment; it takes its share of the lanes, or all that are free. Linux. */
export const twinOf = async (pid: number): Promise<{ drain(): Promise<void> }> => {
  const environment = Object.fromEntries(
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const [command = process.execPath, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    .split('\0')
    .filter((word) => word !== '')
  const child = spawn(command, args, { env: { ...environment, CONTROL_PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const url = await new Promise<string>((resolve, reject) => {
    void ended.then((code) => reject(new Error(`the second process of ${args.join(' ')} ended with ${code}`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const running = Running.safeParse(JSON.parse(line))
      if (running.success) resolve(running.data.url)
    })
  })
  return {
    drain: async () => {
      await controlAt(url).order('/drain')
      const code = await ended
      if (code !== 0) throw new Error(`the second process ended with ${code} after its drain`)
    },
  }
}
