import { Host } from '#actors/runtime/host.ts'
import type { Log } from '#actors/runtime/ports.ts'
import { partitionOf } from '#bus/murmur2.ts'
import type { MemoryBus } from '../twins/bus.ts'
import { memoryBus } from '../twins/bus.ts'
import type { StoredLane } from '../twins/store-lane.ts'
import type { MemoryStore } from '../twins/store.ts'
import { memoryStore } from '../twins/store.ts'
import type { Cast, Stage } from './cast.ts'
import { Watcher } from './checks.ts'
import { KernelCast } from './kernel/cast.ts'
import { LoopCast } from './loop/cast.ts'
import { connected, SimProcess } from './process.ts'
import type { Random } from './random.ts'
import { seeded } from './random.ts'
import { storeLink } from './store-link.ts'
import { VirtualTime } from './virtual-time.ts'

export interface Ran {
  readonly seed: number
  /** the same seed gives the same */
  readonly trace: string
  readonly violations: readonly string[]
  readonly counts: Readonly<Record<string, number>>
}

export interface WorldOptions {
  readonly seed: number
  /** things that the world does; what follows from each takes many steps */
  readonly steps: number
  /** hears every step, and every line that a process logs */
  readonly heard?: (line: string) => void
}

/** Ten seconds before a day ends. */
const START_MS = Date.UTC(2026, 0, 1, 23, 59, 50)
/** Dropping one event lets the next be tried, which may fail, too. */
const LETTER_ROUNDS = 12
const QUIET_WITHIN_MS = 90_000
/** A standby is this much behind at most. */
const LOST_MS = 1_000
/** Kafka's retention, ms: a world is short. */
const RETENTION_MS = 8_000
const DAY_MS = 86_400_000

/** Multiplied: what `**` makes of a fraction differs between versions of the engine in its last bit. */
const cubed = (fraction: number): number => fraction * fraction * fraction

/** Runs one world to its end and says what was wrong. Nothing in it knows real time or real chance. */
export const run = async (options: WorldOptions): Promise<Ran> => new World(options).run()

class World {
  readonly #options: WorldOptions
  readonly #random: Random
  readonly #time: VirtualTime
  readonly #store: MemoryStore
  readonly #bus: MemoryBus
  readonly #cast: Cast
  readonly #watcher: Watcher
  readonly #lanes: number
  readonly #weather = { databaseDown: false, breaks: 0.01 }
  readonly #counts = new Map<string, number>()
  readonly #failsOver: boolean
  #kafkaDown = false
  #calm = false
  #hasBegun = false
  #releases = 1
  #processes: SimProcess[] = []

  constructor(options: WorldOptions) {
    this.#options = options
    this.#random = seeded(options.seed)
    this.#time = new VirtualTime(START_MS, options.heard)
    const [time, random] = [this.#time, this.#random]
    this.#lanes = random.between(1, 3)
    this.#store = memoryStore({
      clock: { wallMs: () => Math.floor(time.nowMs), monotonicMs: () => time.nowMs, after: () => () => {} },
      lanes: this.#lanes,
      remembersMs: LOST_MS,
    })
    this.#bus = memoryBus({
      partitions: this.#lanes,
      clock: { wallMs: () => Math.floor(time.nowMs) },
      schedule: (step, what) =>
        void time.after(random.chance(0.02) ? random.between(50, 500) : 0.2 + random.next() * 4, `bus ${what}`, step),
      random: () => random.next(),
      fate: () => this.#fate(),
      onAppend: (record) => this.#watcher.appended(record),
    })
    const stage: Stage = {
      time,
      random,
      store: this.#store,
      bus: this.#bus,
      lanes: this.#lanes,
      partitionOf: (laneKey) => partitionOf(laneKey, this.#lanes),
      processes: () => this.#processes,
      given: () => this.#watcher.orders,
      violated: (what) => this.#watcher.violated(what),
      logOf: (name) => this.#logOf(name),
    }
    this.#cast = random.chance(0.2) ? new KernelCast(stage) : new LoopCast(stage)
    this.#failsOver = this.#cast.survivesFailover && random.chance(0.3)
    this.#watcher = new Watcher(stage, this.#cast)
  }

  async run(): Promise<Ran> {
    try {
      await this.#live()
    } catch (error) {
      this.#watcher.violated(error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    return {
      seed: this.#options.seed,
      trace: this.#time.traceHash(),
      violations: this.#watcher.violations,
      counts: {
        steps: this.#time.steps,
        lanes: this.#lanes,
        ...(this.#hasBegun ? this.#watcher.counts() : {}),
        ...Object.fromEntries(this.#counts),
      },
    }
  }

  async #live(): Promise<void> {
    for (const { service, processes } of this.#cast.parts)
      for (let n = this.#random.between(...processes); n > 0; n--) this.#start(service, 'r1')
    await this.#pass(2_500)
    this.#hasBegun = this.#watcher.violations.length === 0
    for (const service of this.#cast.armed) this.#order(service, 'arm')
    await this.#pass(500)
    for (let step = 0; step < this.#options.steps && this.#watcher.violations.length === 0; step++) await this.#act()
    if (this.#watcher.violations.length === 0) await this.#comeToRest()
  }

  // --- what the world does ---

  async #act(): Promise<void> {
    const random = this.#random
    const what = random.next()
    if (what < 0.55) await this.#pass(cubed(random.next()) * 200)
    else if (what < 0.8) for (let n = random.between(1, 3); n > 0; n--) this.#cast.stir()
    else if (what < 0.9) this.#someOrder()
    else this.#fault()
  }

  #someOrder(): void {
    const order = this.#random.pick(['arm', 'arm', 'arm', 'arm', 'arm', 'arm', 'disarm', 'pause', 'resume', 'resume', '', ''])
    if (order === '') {
      const own = this.#cast.order()
      return this.#order(own.service, own.order, own.arguments)
    }
    const services = order.endsWith('arm') ? this.#cast.armed : this.#cast.parts.map(({ service }) => service)
    this.#order(this.#random.pick(services), order)
  }

  #fault(): void {
    const random = this.#random
    const living = this.#processes.filter(({ live }) => live)
    const fault = random.next()
    this.#count('faults')
    if (living.length > 0 && fault < 0.3) return this.#crash(random.pick(living))
    if (living.length > 0 && fault < 0.5) return this.#freeze(random.pick(living), random.between(50, 6_000))
    if (living.length > 0 && fault < 0.6) return this.#drain(random.pick(living))
    if (living.length > 0 && fault < 0.66) return this.#setClock(random.pick(living))
    if (fault < 0.74) return this.#outage('database', random.between(20, 3_000))
    if (fault < 0.82) return this.#outage('kafka', random.between(20, 4_000))
    if (fault < 0.88) return this.#stall(random.between(20, 2_000))
    if (fault < 0.92) return this.#cast.upset()
    if (fault < 0.94) return this.#time.jump(random.between(200, 5_000))
    if (fault < 0.96) return this.#clearAway()
    if (fault < 0.98 && this.#failsOver) return this.#failOver(random.between(0, LOST_MS))
    this.#start(random.pick(this.#cast.parts).service, `r${this.#releases}`)
  }

  /** A standby becomes the database, without what it had not yet heard. */
  #failOver(lostMs: number): void {
    this.#time.note(`the database fails over, and ${lostMs} ms are lost`)
    this.#count('failovers')
    this.#store.failOver(lostMs)
    this.#watcher.wentBack()
    // Who had registered in the lost time is not known any more.
    this.#outage('database', this.#random.between(20, 1_000))
  }

  /** What is old goes: a day's journal, and of the log what everybody has read. */
  #clearAway(): void {
    this.#time.note('old days and records go')
    this.#store.detachDays(Math.floor(this.#time.nowMs / DAY_MS) * DAY_MS)
    // What a lane has read in a second that is then lost it reads again, and no retention is as short as that.
    if (this.#failsOver) return
    const read = new Map<string, number>()
    for (const { topic, lane, next } of this.#watcher.read()) {
      const at = `${topic}/${lane}`
      read.set(at, Math.min(read.get(at) ?? Number.POSITIVE_INFINITY, next))
    }
    const beforeMs = this.#time.nowMs - RETENTION_MS
    for (const [at, next] of read) {
      const [topic, lane] = at.split('/') as [string, string]
      const fresh = this.#bus.log(topic, Number(lane)).find(({ timestampMs, offset }) => timestampMs >= beforeMs || offset >= next)
      if (fresh) this.#bus.trim(topic, Number(lane), fresh.offset)
    }
  }

  #crashSomebody(): void {
    const living = this.#processes.filter(({ live }) => live)
    if (living.length > 0) this.#crash(this.#random.pick(living))
  }

  #crash(process: SimProcess): void {
    this.#time.note(`crash ${process.name}`)
    this.#count('crashes')
    process.kill()
    this.#comeBack(process.service)
  }

  #comeBack(service: string): void {
    this.#processes = this.#processes.filter(({ dead }) => !dead)
    if (this.#random.chance(0.05)) this.#releases++
    this.#time.after(this.#random.between(50, 2_500), `restart ${service}`, () => this.#start(service, `r${this.#releases}`))
  }

  #freeze(process: SimProcess, ms: number): void {
    this.#count('freezes')
    process.standStill(ms)
  }

  /** A clock set wrong, and mended. */
  #setClock(process: SimProcess): void {
    process.skewMs = this.#random.chance(0.5) ? this.#random.between(-3_000, 10_000) : this.#random.between(-300, 300)
    this.#time.note(`${process.name} clock is ${process.skewMs} ms off`)
    this.#time.after(this.#random.between(500, 4_000), `${process.name} clock mended`, () => (process.skewMs = 0))
  }

  #drain(process: SimProcess): void {
    if (!process.host || process.draining) return
    this.#time.note(`drain ${process.name}`)
    process.draining = true
    this.#count('drains')
    void process.host.drain().then(() => {
      this.#time.note(`drained ${process.name}`)
      process.kill()
      this.#comeBack(process.service)
    })
  }

  #outage(what: 'database' | 'kafka', ms: number): void {
    const set = (down: boolean): void => {
      if (what === 'database') this.#weather.databaseDown = down
      else this.#kafkaDown = down
    }
    this.#time.note(`${what} is away for ${ms} ms`)
    set(true)
    this.#time.after(ms, `${what} is back`, () => set(false))
  }

  #stall(ms: number): void {
    this.#time.note(`deliveries stall for ${ms} ms`)
    this.#bus.stall()
    this.#time.after(ms, 'deliveries go on', () => this.#bus.go())
  }

  #fate(): 'written' | 'acknowledgement lost' | 'half written' | 'not written' {
    if (this.#calm) return 'written'
    if (this.#kafkaDown) return 'not written'
    return this.#random.chance(0.93) ? 'written' : this.#random.pick(['acknowledgement lost', 'half written', 'not written'])
  }

  #taker(service: string): SimProcess | undefined {
    return this.#processes.find((process) => process.service === service && process.live && process.host && !process.draining)
  }

  #order(service: string, order: string, more: Readonly<Record<string, unknown>> = {}): void {
    const taker = this.#taker(service)
    if (!taker?.host) return
    if (order === 'disarm') taker.disarmedAtMs = this.#time.nowMs
    this.#count('orders')
    this.#time.note(`order ${order} to ${taker.name}`)
    const given = order === 'arm' ? { release: taker.release } : more
    void taker.host.submit({ order, by: 'sim', reason: 'sim', arguments: given }, 1_000).then((said) => {
      if (said.outcome === 'done') this.#watcher.answered(service, Number(said.id))
    })
  }

  // --- processes ---

  #start(service: string, release: string): void {
    const process = new SimProcess(this.#time, this.#random.uuid(this.#time.nowMs), service, release)
    process.skewMs = this.#random.between(-100, 100)
    this.#time.note(`start ${process.name} ${release}`)
    this.#processes.push(process)
    this.#watcher.started(process)
    const link = this.#bus.connect()
    process.onDeath = () => link.crash()
    process.store = storeLink(this.#store.connect(), process, {
      time: this.#time,
      random: this.#random,
      weather: this.#weather,
      executed: (call, args, answer) => this.#watcher.executed(process, call, args, answer),
    })
    const host = new Host({
      definition: this.#cast.definition(service, process),
      release,
      process: process.id,
      incarnation: process.id,
      store: process.store,
      bus: connected(link, process),
      clock: process.clock,
      log: this.#logOf(process.name),
      meter: { count: () => {}, observe: () => {} },
      partitionOf: (laneKey) => partitionOf(laneKey, this.#lanes),
      wantedLanes: this.#lanes,
      url: () => 'http://sim',
      onBroken: (error) => this.#broken(process, error),
      cacheBytes: this.#random.pick([6_000, 60_000]),
      timerWindow: 4,
      // In half of the worlds every batch is computed while the one before commits.
      computeAheadEvents: this.#options.seed % 2 === 0 ? 0 : 256,
    })
    host.start().then(
      () => {
        if (process.dead) return
        process.host = host
        this.#cast.began(process)
        if (this.#cast.armed.includes(service) && this.#random.chance(0.7))
          this.#time.after(this.#random.between(400, 3_000), 'somebody arms', () => this.#order(service, 'arm'))
      },
      // What a main.ts does with it: it ends, and is started again.
      () => this.#end(process),
    )
  }

  /** It ends by itself. That the database has forgotten it, or an order that it took, is the only reason there may be. */
  #broken(process: SimProcess, { message }: Error): void {
    const isForgotten = message.includes('is not registered') || message.includes('which the lane does not have')
    if (this.#failsOver && isForgotten) this.#end(process)
    else this.#watcher.violated(`${process.name} is broken: ${message}`)
  }

  #end(process: SimProcess): void {
    if (process.dead) return
    process.kill()
    this.#comeBack(process.service)
  }

  #logOf(name: string): Log {
    const say =
      (level: string) =>
      (fields: object, text: string): void => {
        const { event } = fields as { event?: string }
        if (this.#options.heard) this.#time.tell(`${name} ${level}: ${text} ${JSON.stringify(fields)}`)
        if (event === 'lane.halted' || event === 'effect.broken' || (event === 'store.went_back' && !this.#failsOver))
          this.#watcher.violated(`${name} ${event}: ${text}`)
      }
    return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  }

  // --- time ---

  async #pass(ms: number): Promise<void> {
    const until = this.#time.nowMs + ms
    while (this.#watcher.violations.length === 0 && (await this.#time.step(until))) {
      // Between any two steps.
      if (!this.#calm && this.#random.chance(1 / 1_500)) this.#crashSomebody()
    }
  }

  /** Everything is mended, nothing new comes: what is under way has to end, and then the books must be right. */
  async #comeToRest(): Promise<void> {
    this.#calm = true
    this.#kafkaDown = false
    Object.assign(this.#weather, { databaseDown: false, breaks: 0 })
    this.#bus.go()
    for (const process of this.#processes) {
      process.skewMs = 0
      process.goOn()
    }
    await this.#pass(2_500)
    const until = this.#time.nowMs + QUIET_WITHIN_MS
    for (const { service } of this.#cast.parts) {
      // Who takes orders may just be on its way out, and its successor on its way in.
      while (this.#watcher.violations.length === 0 && !this.#taker(service) && this.#time.nowMs < until) await this.#pass(250)
      this.#order(service, 'resume')
    }
    while (this.#watcher.violations.length === 0 && this.#watcher.unfinished().length > 0 && this.#time.nowMs < until) await this.#pass(250)
    if (this.#watcher.violations.length > 0) return
    for (const unfinished of this.#watcher.unfinished()) this.#watcher.violated(`not at rest: ${unfinished}`)
    if (this.#watcher.violations.length === 0) await this.#resolveLetters()
    if (this.#watcher.violations.length === 0) this.#watcher.checkBooks()
  }

  /** Dead letters are tried once more, and what fails again is given up; what waited behind goes on until nothing is left. */
  async #resolveLetters(): Promise<void> {
    for (let round = 0; round < LETTER_ROUNDS && this.#watcher.violations.length === 0; round++) {
      const holding = this.#cast.parts.filter(({ service }) => this.#lettersOf(service).some(({ done }) => done === null))
      if (holding.length === 0) return
      const tried = holding.flatMap(({ service }) => this.#lettersOf(service)).filter(({ done }) => done === null).length
      this.#counts.set('letters', (this.#counts.get('letters') ?? 0) + tried)
      for (const { service } of holding) this.#order(service, round === 0 ? 'replay-dead-letters' : 'drop-dead-letters', { all: true })
      await this.#pass(3_000)
    }
    for (const { service } of this.#cast.parts)
      for (const { turn, kind, key, done } of this.#lettersOf(service))
        if (done === null) this.#watcher.violated(`${service} turn ${turn}: ${kind}/${key} is still parked after every order`)
  }

  #lettersOf(service: string): StoredLane['parked'] {
    const isSingle = this.#cast.parts.some((part) => part.service === service && part.lanes === 'single')
    const lanes = Array.from({ length: isSingle ? 1 : this.#lanes }, (_, lane) => lane)
    return lanes.flatMap((lane) => this.#store.lane(service, lane).parked)
  }

  #count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }
}
