/**
 * The local Kafka broker: Apache Kafka 4.1 in KRaft mode, one node, a JVM that is our direct child.
 *
 * B1. Data and ports are those of the last start in the same directory, so clients find it again.
 * B2. "Ready" is when the group coordinator answers, which is a quarter of a second after the port is open.
 * B3. It ends with us, also after kill -9 (watchdog.ts).
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LocalStackFault, startChild, tailOf } from './child.ts'
import type { Child, Exit } from './child.ts'
import { quietKafka } from './kafka-client.ts'
import { forgetPid, notePid, waitForLeftover } from './leftovers.ts'
import { isOpen, keptPorts, tryPort } from './ports.ts'

export type LogLine = (line: string) => void

export type Broker = {
  /** `127.0.0.1:port`, the same for the whole life of the directory unless somebody took the port meanwhile */
  readonly brokers: string
  readonly pid: () => number
  /** SIGTERM, 0.3 to 0.5 s; SIGKILL after ten. */
  stop(): Promise<void>
  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<Exit>
  /** Starts it again on the same port, after kill() or an unexpected end; stops it first where it still runs. */
  restart(): Promise<void>
  /** Called when it ends without stop() or kill(). */
  onDeath(listener: (exit: Exit) => void): void
}

export type ProxiedListener = { readonly port: number; readonly advertised: number }

export type BrokerOptions = {
  readonly dataDir: string
  readonly log: LogLine
  /** default: the port of the last start in this directory, else a free one */
  readonly port?: number
  /** A second listener on `port`, whose clients are told `advertised` instead: the port of a proxy in between. */
  readonly proxied?: ProxiedListener
  /** default: use the class archive */
  readonly jvmFlags?: readonly string[]
}

const kafkaDir = join(dirname(fileURLToPath(import.meta.url)), 'kafka')
const libsDir = join(kafkaDir, 'libs')
const archiveFile = join(kafkaDir, 'kafka.jsa')

/** @throws {LocalStackFault} no Java, no jars, a port that is taken, or the broker died: with the end of its log */
export const startBroker = async ({
  dataDir,
  log,
  port,
  proxied,
  jvmFlags = [`-XX:SharedArchiveFile=${archiveFile}`],
}: BrokerOptions): Promise<Broker> => {
  const dir = resolve(dataDir, 'kafka')
  const logFile = join(dir, 'broker.log')
  const pidFile = join(dir, 'pid')
  mkdirSync(dir, { recursive: true })
  await waitForLeftover(pidFile, dir)
  const ports = await choosePorts(dir, port)
  writeProperties(dir, ports, proxied)
  const deathListeners: ((exit: Exit) => void)[] = []
  let child: Child
  let expected = false

  const start = async (): Promise<void> => {
    expected = false
    const started = await startJvm({ dir, logFile, flags: jvmFlags })
    child = started
    notePid(pidFile, started.pid)
    void started.exited.then((exit) => {
      forgetPid(pidFile)
      if (!expected && child === started) for (const listener of deathListeners) listener(exit)
    })
    await untilReady(started, ports.port, logFile)
    dropUnusableArchive(logFile)
  }
  const began = performance.now()
  await start()
  log(`kafka: ready on 127.0.0.1:${ports.port} after ${Math.round(performance.now() - began)} ms`)

  const end = async (steps: Parameters<Child['end']>[0]): Promise<Exit> => {
    expected = true
    return child.end(steps)
  }
  return {
    brokers: `127.0.0.1:${ports.port}`,
    pid: () => child.pid,
    stop: async () => {
      await end([{ signal: 'SIGTERM', graceMs: 10_000 }])
    },
    kill: async (signal) => {
      expected = true
      child.signal(signal)
      return child.exited
    },
    restart: async () => {
      await end([{ signal: 'SIGTERM', graceMs: 10_000 }])
      await start()
    },
    onDeath: (listener) => deathListeners.push(listener),
  }
}

type Ports = { readonly port: number; readonly controller: number }

const choosePorts = async (dir: string, port: number | undefined): Promise<Ports> => {
  const kept = await keptPorts(join(dir, 'ports.json'), ['port', 'controller'])
  if (port === undefined) return kept
  if ((await tryPort(port)) === undefined) throw new LocalStackFault(`port ${port} for the Kafka broker is taken: stop what uses it`)
  return { ...kept, port }
}

/** Server properties and meta.properties. Written by hand, the latter saves the 0.9 to 1.7 s of Kafka's format tool. */
const writeProperties = (dir: string, { port, controller }: Ports, proxied: ProxiedListener | undefined): void => {
  const data = join(dir, 'data')
  const second = (at: 'port' | 'advertised'): string => (proxied === undefined ? '' : `,PROXIED://127.0.0.1:${proxied[at]}`)
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}${second('port')}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}${second('advertised')}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT',
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'group.coordinator.append.linger.ms': 0,
    // After kill -9 the broker waits for its own old registration to expire: 9 s by default. Below that a broker that gets no CPU for
    // so long fences itself, and nothing is written for seconds: at 1 s two busy cores did it (2026-11).
    'broker.session.timeout.ms': 4000,
    'broker.heartbeat.interval.ms': 500,
    'controller.quorum.election.timeout.ms': 200,
    'controller.quorum.fetch.timeout.ms': 500,
    'log.cleaner.dedupe.buffer.size': 4_194_304,
    'log.segment.bytes': 67_108_864,
    'log.index.size.max.bytes': 1_048_576,
    'log.retention.hours': 24,
    'num.network.threads': 2,
    'num.io.threads': 4,
  }
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}`)
  writeFileSync(join(dir, 'server.properties'), `${lines.join('\n')}\n`)
  mkdirSync(data, { recursive: true })
  const meta = join(data, 'meta.properties')
  if (!existsSync(meta)) writeFileSync(meta, `version=1\ncluster.id=${randomBytes(16).toString('base64url')}\nnode.id=1\n`)
}

type JvmOptions = { readonly dir: string; readonly logFile: string; readonly flags: readonly string[] }

/** The broker's JVM on the properties in `dir`. The class path is sorted and explicit: the class archive is bound to its order. */
const startJvm = async ({ dir, logFile, flags }: JvmOptions): Promise<Child> => {
  const jars = existsSync(libsDir) ? readdirSync(libsDir).filter((name) => name.endsWith('.jar')) : []
  if (jars.length === 0) throw new LocalStackFault('the Kafka jars are missing: run `node deploy/local/setup.cjs`')
  const javaHome = process.env['JAVA_HOME'] ?? ''
  const homeJava = join(javaHome, 'bin', 'java')
  try {
    return await startChild({
      name: 'kafka',
      command: javaHome !== '' && existsSync(homeJava) ? homeJava : 'java',
      args: [
        '-Xmx256m',
        '-Xms64m',
        '-XX:+UseSerialGC',
        // The first compiler only: the broker is up half a second sooner, and shares two cores with everything else.
        '-XX:TieredStopAtLevel=1',
        ...flags,
        `-Dlog4j2.configurationFile=${join(kafkaDir, 'log4j2.properties')}`,
        '-cp',
        jars
          .toSorted()
          .map((name) => join(libsDir, name))
          .join(':'),
        'kafka.Kafka',
        join(dir, 'server.properties'),
      ],
      logFile,
      signalWhenWeAreGone: 'SIGTERM',
    })
  } catch (error) {
    throw new LocalStackFault('Java is missing and the local Kafka broker needs it: install Java 17 or newer, or set KAFKA_BROKERS', {
      cause: error,
    })
  }
}

const READY_WITHIN_MS = 60_000

const untilReady = async (child: Child, port: number, logFile: string): Promise<void> => {
  const deadline = performance.now() + READY_WITHIN_MS
  let answers = false
  while (!answers) {
    if (!child.running()) throw new LocalStackFault(`the Kafka broker died while starting; the end of ${logFile}:\n${tailOf(logFile)}`)
    if (performance.now() > deadline) {
      await child.end([])
      throw new LocalStackFault(
        `the Kafka broker was not ready after ${READY_WITHIN_MS / 1000} s; the end of ${logFile}:\n${tailOf(logFile)}`,
      )
    }
    answers = (await isOpen(port)) && (await coordinatorAnswers(`127.0.0.1:${port}`))
    if (!answers) await after(40)
  }
}

/** Whether groups can be used, which also creates the offsets topic. A fresh client each time: kafkajs keeps what it learned from a half-started broker. */
const coordinatorAnswers = async (broker: string): Promise<boolean> => {
  const admin = quietKafka(broker, { retries: 0 }).admin()
  try {
    await admin.connect()
    await admin.listTopics() // kafkajs knows no broker before its first metadata
    await admin.describeGroups(['readiness'])
    return true
  } catch {
    return false // not yet: the coordinator is being elected or loads
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** An archive of another JVM, or of a checkout that was moved, only warns; without it the next set-up makes a new one. */
const dropUnusableArchive = (logFile: string): void => {
  if (/\[warning\]\[cds/.test(tailOf(logFile, 40))) rmSync(archiveFile, { force: true })
}
