/** Free TCP ports on the loopback interface, kept in a file so that a second start uses the same ones. */
import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'

/** Listens on `port` for a moment. Undefined: it is taken. */
export const tryPort = (port: number, host = '127.0.0.1'): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host, exclusive: true }, () => {
      server.close(() => resolve(port))
    })
  })

/**
 * A free port to listen on, below the ranges from which systems take the source ports of outgoing connections (Linux from 32768,
 * macOS from 49152): port 0 picks one of those, and until its listener is back somebody's connection may have it.
 */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 500; tries++) {
    const port = await tryPort(randomInt(15_000, 30_000))
    if (port !== undefined) return port
  }
  throw new Error('no free TCP port on 127.0.0.1 between 15000 and 30000')
}

/** The ports that `file` keeps, where all of them are free; otherwise new ones, which it keeps from now on. */
export const keptPorts = async <Name extends string>(file: string, names: readonly Name[]): Promise<Record<Name, number>> => {
  const kept = readPorts(file)
  const usable = await Promise.all(names.map(async (name) => kept[name] !== undefined && (await tryPort(kept[name])) !== undefined))
  const ports: Record<string, number> = {}
  for (const name of names) {
    const port = usable.every(Boolean) ? kept[name] : await freePort()
    if (port !== undefined) ports[name] = port
  }
  writeFileSync(file, `${JSON.stringify(ports)}\n`)
  return ports
}

const readPorts = (file: string): Record<string, number> => {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof parsed !== 'object' || parsed === null) return {}
    return Object.fromEntries(Object.entries(parsed).filter((entry): entry is [string, number] => Number.isInteger(entry[1])))
  } catch {
    return {} // the first start, or a file cut off by a crash
  }
}

/** Whether something answers on the port. */
export const isOpen = (port: number, host = '127.0.0.1'): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host })
    const done = (open: boolean) => () => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', done(true))
    socket.once('error', done(false))
    socket.setTimeout(1_000, done(false))
  })
