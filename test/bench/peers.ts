/** The other runtimes of the transitions bench, each in processes of its own, from a package of its own that only this installs. */
import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startChild } from '#deploy/local/child.ts'
import { freePort } from '#deploy/local/ports.ts'
import { say } from './bench-database.ts'
import type { Contestant } from './contest.ts'
import { inParallel, measured } from './contest.ts'
import { EVENTS_AN_ACTOR, STEPS } from './work.ts'

/** Actors under way at once, for each peer. Of 50, 100, 200 and 400 this took DBOS and Restate the least CPU a transition. */
const IN_FLIGHT = Number(process.env['BENCH_PEER_IN_FLIGHT'] ?? 200)
const home = fileURLToPath(import.meta.resolve('./peers/package.json'))
const dir = join(home, '..')

/** False, with a line that says why, where they cannot be had. */
export const installPeers = (): boolean => {
  if (existsSync(join(dir, 'node_modules', '.package-lock.json'))) return true
  say('installing DBOS and Restate into test/bench/peers, 240 MB, for this bench only')
  const { status, stderr } = spawnSync('npm', ['ci', '--prefix', dir, '--ignore-scripts', '--no-audit', '--no-fund'], { encoding: 'utf8' })
  if (status === 0) return true
  say(`the peers are left out: npm ci in test/bench/peers ended with ${status}: ${stderr.trim().split('\n').at(-1)}`)
  return false
}

/** A child that answers each command once. */
const peerProcess = (script: string) => {
  const child = fork(join(dir, script), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: { ...process.env, NODE_ENV: 'production' } })
  return {
    pid: child.pid ?? 0,
    ask: async (command: object): Promise<void> => {
      child.send(command)
      await Promise.race([once(child, 'message'), endOf(child, script)])
    },
    end: async (): Promise<void> => {
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

const endOf = async (child: ChildProcess, script: string): Promise<never> => {
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  throw new Error(`${script} ended with ${signal ?? code}`)
}

/** On the same PostgreSQL as ours, in a database of its own. */
export const dbos = async (adminUrl: string, postgres: number, actors: number): Promise<Contestant> => {
  const url = new URL(adminUrl)
  url.pathname = '/dbos'
  const peer = peerProcess('dbos.mjs')
  await peer.ask({ do: 'start', url: url.href, poolSize: 20 })
  return {
    name: 'dbos',
    about: `a workflow an actor, a checkpointed step an event, ${IN_FLIGHT} workflows at once, a pool of 20 on the same PostgreSQL`,
    actors,
    run: (round, count) =>
      measured(count * EVENTS_AN_ACTOR, { servers: [postgres], hosts: [peer.pid] }, () =>
        peer.ask({ do: 'run', name: round, actors: count, inFlight: IN_FLIGHT }),
      ),
    close: peer.end,
  }
}

/** One server and one process for both forms. Null, with a line that says why, where there is no server for this platform. */
export const restate = async (dataDir: string, actors: number): Promise<Contestant[] | null> => {
  const binary = restateBinary()
  if (binary === null) return null
  const [ingress, admin, node, service] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const server = await startChild({
    name: 'restate-server',
    command: binary,
    args: ['--no-logo', '--node-name', 'bench', '--base-dir', join(dataDir, 'restate'), '--listen-mode', 'tcp', '--log-filter', 'warn'],
    env: {
      ...process.env,
      RESTATE_DISABLE_TELEMETRY: 'true',
      DO_NOT_TRACK: '1',
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
    },
    cwd: dataDir,
    logFile: join(dataDir, 'restate.log'),
    signalWhenWeAreGone: 'SIGTERM',
  })
  const peer = peerProcess('restate.mjs')
  await peer.ask({ port: service })
  await registered(admin, service)
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })
  let open = 2
  const close = async (): Promise<void> => {
    if (--open > 0) return
    agent.destroy()
    await peer.end()
    await server.end([
      { signal: 'SIGTERM', graceMs: 10_000 },
      { signal: 'SIGKILL', graceMs: 1_000 },
    ])
  }
  const contestant = (name: string, about: string, life: (order: string, n: number) => Promise<void>): Contestant => ({
    name,
    about: `${about}, ${IN_FLIGHT} calls at once over HTTP`,
    actors,
    run: (round, count) =>
      measured(count * EVENTS_AN_ACTOR, { servers: [server.pid], hosts: [peer.pid] }, () =>
        inParallel(IN_FLIGHT, count, (n) => life(`${round}-${n}`, n)),
      ),
    close,
  })
  const call = (path: string, body: object): Promise<void> => post(agent, ingress, path, body)
  return [
    contestant('restate', 'a virtual object an actor, a call an event', async (order, n) => {
      for (const [step, type] of STEPS.entries()) await call(`/plain/${order}/event`, { type, amount: `${n}.${step}` })
    }),
    contestant('restate-xstate', 'its xstate package: a create an actor, a send an event', async (order, n) => {
      await call(`/machine/${order}/create`, { input: { order } })
      for (const [step, type] of STEPS.entries()) await call(`/machine/${order}/send`, { event: { type, amount: `${n}.${step}` } })
    }),
  ]
}

const restateBinary = (): string | null => {
  const name = `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`
  try {
    return createRequire(home).resolve(name)
  } catch {
    say(`Restate is left out: npm has brought no ${name}`)
    return null
  }
}

const REGISTER_WITHIN_MS = 60_000

const registered = async (admin: number, service: number): Promise<void> => {
  const deadline = performance.now() + REGISTER_WITHIN_MS
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${admin}/deployments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
    }).catch(() => null)
    if (answer?.ok) return
    if (performance.now() > deadline) throw new Error(`Restate took no deployment: ${answer ? await answer.text() : 'it does not answer'}`)
    await after(200)
  }
}

/** Resolves when it was answered with success. */
const post = (agent: Agent, port: number, path: string, body: object): Promise<void> =>
  new Promise((resolve, reject) => {
    const text = JSON.stringify(body)
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const sent = request({ agent, host: '127.0.0.1', port, path, method: 'POST', headers }, (answer) => {
      answer.resume()
      answer.once('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`${path} answered ${answer.statusCode}`))))
    })
    sent.once('error', reject)
    sent.end(text)
  })
