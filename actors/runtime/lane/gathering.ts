import { textOf } from '../faults.ts'
import type { Inputs } from './inputs.ts'
import type { LaneLife } from './lane-life.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import type { Item, Mailbox } from './mailbox.ts'
import type { Outbox } from '../outbox.ts'

const OUTBOX_LIMIT_BYTES = 8 * 1024 * 1024
const TIMERS_AT_ONCE = 512
const READ_AGAIN_MS = 200
/** Parked events a batch, and what else may come in with them: so they end, however much of it comes. */
const LETTERS = 512
const BESIDE_LETTERS = 256

/** What comes into the next batch, and what has to be read for it: timers that are due next, parked events whose turn it is. */
export class Gathering {
  readonly #options: LaneOptions
  readonly #now: LaneNow
  readonly #life: LaneLife
  readonly #mailbox: Mailbox
  readonly #inputs: Inputs
  readonly #outbox: Outbox
  readonly #wakeUp: () => void
  /** the last batch had as many timers as one may have */
  #leftTimers = false
  /** parked events whose turn it is, read for the next batch */
  #letters: Item[] = []

  constructor(of: {
    options: LaneOptions
    now: LaneNow
    life: LaneLife
    mailbox: Mailbox
    inputs: Inputs
    outbox: Outbox
    wakeUp: () => void
  }) {
    this.#options = of.options
    this.#now = of.now
    this.#life = of.life
    this.#mailbox = of.mailbox
    this.#inputs = of.inputs
    this.#outbox = of.outbox
    this.#wakeUp = of.wakeUp
  }

  /** @param limit at most so many items */
  next(limit: number): Item[] {
    const { clock } = this.#options
    const { timers } = this.#now.memory
    const { isRunning } = this.#life
    const due = isRunning ? timers.due(clock.wallMs(), TIMERS_AT_ONCE) : []
    for (const timer of due) this.#mailbox.add({ from: 'timer', timer })
    this.#leftTimers = due.length === TIMERS_AT_ONCE
    const items = this.#take(limit)
    if (isRunning) this.#inputs.fell()
    return items
  }

  /** How many events wait for the next batch; of timers it is only known that the last one left some. */
  get waiting(): number {
    return this.#mailbox.length + (this.#leftTimers ? TIMERS_AT_ONCE : 0)
  }

  /** Orders ahead of all; then parked events whose turn it is, ahead of what came later. */
  #take(limit: number): Item[] {
    const letters = this.#letters.splice(0)
    const onlyOrders = this.#outbox.waitingBytes > OUTBOX_LIMIT_BYTES
    if (onlyOrders || letters.length === 0) return this.#mailbox.take(limit, onlyOrders ? 'orders' : undefined)
    const orders = this.#mailbox.take(limit, 'orders')
    const first = [...orders, ...letters.slice(0, Math.max(0, limit - orders.length))]
    return [...first, ...this.#mailbox.take(Math.min(BESIDE_LETTERS, limit - first.length))]
  }

  /** The events of a refused batch come once more, in their order; parked ones are read again from their rows. */
  putBack(items: readonly Item[]): void {
    this.#mailbox.putBack(items)
    this.#letters = []
  }

  /** The rows are the queue: read while nothing is in commit they are all there is, and exactly what memory knows of. */
  async readLetters(): Promise<void> {
    const { store, service, clock, log } = this.#options
    const { lane, parked } = this.#now.memory
    if (!this.#life.isRunning) return
    const of = parked.underWay()
    try {
      const letters = await store.letters(service, lane, of, LETTERS)
      const poison = this.#now.poison?.item
      this.#letters = letters.map((letter): Item => {
        return poison?.from === 'letter' && poison.letter.turn === letter.turn ? poison : { from: 'letter', letter }
      })
      if (letters.length > 0) return
      for (const { kind, key, turn } of of) {
        log.error({ event: 'letters.none', lane, actor: `${kind}/${key}`, turn }, 'no row of what should be under way')
        parked.forget({ kind, key }, turn)
      }
    } catch (error) {
      log.warn({ event: 'letters.not_read', lane }, textOf(error))
      clock.after(READ_AGAIN_MS, this.#wakeUp)
    }
  }

  /**
   * Reads the next window beside the loop, once one is needed. What was computed until now must be stored before it is read
   * (what comes later the timers keep apart): a timer that is neither in memory nor stored yet would be lost.
   * @param committing resolves when what is in commit now has ended
   */
  readTimers(committing: Promise<unknown>): void {
    const { store, service, timerWindow, log, clock } = this.#options
    const { lane, timers, upgrades } = this.#now.memory
    // What was brought up is stored under its older names until it is in a batch.
    const after = upgrades.length === 0 ? timers.read() : null
    if (!after) return
    const read = async (): Promise<void> => {
      try {
        await committing
        const rows = this.#life.isOpen ? await store.timers(service, lane, after, timerWindow) : []
        timers.bring(rows, rows.length === timerWindow)
      } catch (error) {
        if (!this.#life.isOpen) return
        log.warn({ event: 'lane.timers_not_read', lane }, textOf(error))
        await new Promise<void>((resolve) => clock.after(READ_AGAIN_MS, resolve))
        timers.unread()
      }
      this.#wakeUp()
    }
    void read()
  }
}
