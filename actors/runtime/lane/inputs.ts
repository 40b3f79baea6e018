import type { TopicName } from '#machines/contracts/topics.ts'
import { topics } from '#machines/contracts/topics.ts'
import type { Draft } from './draft.ts'
import type { LaneNow, LaneOptions } from './lane-options.ts'
import type { Mailbox } from './mailbox.ts'
import { addressOf, LIFECYCLE } from './memory.ts'
import type { Start } from './recovering.ts'
import type { Halt, InputRow } from '../rows.ts'

/**
 * What flows into a lane and what is held: work while it is paused, an input that lost data and all work with it, and
 * everything while too much waits.
 */
export class Inputs {
  readonly #lane: number
  readonly #options: LaneOptions
  readonly #now: LaneNow
  readonly #mailbox: Mailbox
  readonly #wakeUp: () => void
  readonly #workTopics: readonly TopicName[]
  #heldForWater = false
  /** topic → where it goes on once the water has fallen; absent: where it was held */
  readonly #goesOnAt = new Map<string, number | undefined>()
  /** inputs that this lane never read before, until a batch has stored them */
  #entered: readonly InputRow[]
  /** a halt, or the end of one, that no batch has stored yet */
  #unstoredHalt: boolean

  constructor(of: { start: Start; options: LaneOptions; now: LaneNow; mailbox: Mailbox; wakeUp: () => void }) {
    this.#lane = of.start.recovered.lane.lane
    this.#options = of.options
    this.#now = of.now
    this.#mailbox = of.mailbox
    this.#wakeUp = of.wakeUp
    this.#entered = of.start.entered
    this.#unstoredHalt = of.start.halted !== of.start.recovered.lane.halted
    this.#workTopics = (Object.keys(of.options.definition.inputs) as TopicName[]).filter((topic) => topics[topic].work)
  }

  /** Starts delivery where the lane stands. */
  begin(): void {
    const { reader } = this.#options
    const { inputs } = this.#now.memory
    const next = Object.fromEntries([...inputs.values()].map((input) => [input.topic, input.next]))
    reader.take(this.#lane, next)
    // Where storage went back, Kafka's word is ahead of ours: left so, the next owner would find that out once more.
    reader.commit(this.#lane, next)
    for (const topic of inputs.keys()) if (this.isHeld(topic)) reader.hold(this.#lane, topic)
  }

  /** Something about the inputs themselves is to be stored, whatever arrives. */
  get isUnstored(): boolean {
    return this.#unstoredHalt || this.#entered.length > 0
  }

  store(draft: Draft): void {
    const { inputs, halted } = this.#now.memory
    for (const { topic } of this.#entered) draft.inputs.set(topic, inputs.get(topic)!)
    if (this.#unstoredHalt) draft.halted = halted
  }

  committed(draft: Draft): void {
    this.#entered = this.#entered.filter(({ topic }) => !draft.inputs.has(topic))
    if (draft.halted !== undefined && draft.halted === this.#now.memory.halted) this.#unstoredHalt = false
  }

  /** The memory is what is stored again: what is not is still to come. */
  recalled(storedHalt: Halt | null): void {
    this.#unstoredHalt = this.#now.memory.halted !== storedHalt
    for (const input of this.#entered) this.#now.memory.inputs.set(input.topic, input)
  }

  /** More has arrived: beyond the high water mark nothing more is to. */
  rose(): void {
    if (!this.#mailbox.full || this.#heldForWater) return
    this.#heldForWater = true
    for (const input of this.#now.memory.inputs.keys()) this.#options.reader.hold(this.#lane, input)
  }

  /** Something was taken out. */
  fell(): void {
    if (!this.#heldForWater || !this.#mailbox.low) return
    this.#heldForWater = false
    for (const topic of this.#now.memory.inputs.keys()) if (!this.isHeld(topic)) this.#resume(topic, this.#goesOnAt.get(topic))
    this.#goesOnAt.clear()
  }

  /** Nothing flows while too much waits, whatever lets it flow: it would not be held a second time. */
  #resume(topic: string, from: number | undefined): void {
    if (this.#heldForWater) this.#goesOnAt.set(topic, from)
    else this.#options.reader.resume(this.#lane, topic, from)
  }

  get paused(): boolean {
    return this.#now.memory.cache.peek(addressOf(LIFECYCLE))?.state.value === 'paused'
  }

  /** An order to pause or to resume has had its turn. */
  followLifecycle(): void {
    for (const topic of this.#workTopics) {
      if (this.paused) {
        this.#options.reader.hold(this.#lane, topic)
        this.#mailbox.dropRecords(topic)
      } else if (!this.isHeld(topic)) this.#resume(topic, this.#now.memory.inputs.get(topic)?.next)
    }
  }

  isHeld(topic: string): boolean {
    const work = (this.#workTopics as readonly string[]).includes(topic)
    const { halted } = this.#now.memory
    return (work && this.paused) || (halted !== null && (halted.topic === topic || work))
  }

  halt(halt: Halt): void {
    if (this.#now.memory.halted) return
    this.#now.memory.halted = halt
    this.#unstoredHalt = true
    this.#options.log.error({ event: 'lane.halted', lane: this.#lane, code: halt.code, topic: halt.topic }, halt.detail)
    this.#holdForHalt(halt)
    this.#wakeUp()
  }

  #holdForHalt({ topic }: Halt): void {
    for (const input of this.#now.memory.inputs.keys()) {
      if (input !== topic && !(this.#workTopics as readonly string[]).includes(input)) continue
      this.#options.reader.hold(this.#lane, input)
      this.#mailbox.dropRecords(input)
    }
  }

  /** An operator says that what is lost is lost: the offset is set to what the log has, each mark may jump once. */
  async acceptLoss(draft: Draft): Promise<{ outcome: string; detail?: string }> {
    const { halted } = this.#now.memory
    if (!halted?.topic) return { outcome: 'taken', detail: 'not halted by an input' }
    const end = (await this.#options.reader.ends(this.#lane)).find(({ topic }) => topic === halted.topic)
    const input = this.#now.memory.inputs.get(halted.topic)
    if (!end || !input) return { outcome: 'refused', detail: `${halted.topic} is not there` }
    const isAnother = halted.code === 'TOPIC_RECREATED' || input.next < end.low || input.next > end.high
    const next = isAnother ? end.low : input.next
    // As if the lane had entered here: a source whose first record is among what is lost may begin anywhere, too.
    const moved = { ...input, next, entered: Math.max(1, next), enteredAtMs: draft.nowMs }
    this.#now.memory.inputs.set(halted.topic, moved)
    draft.inputs.set(halted.topic, moved)
    for (const row of this.#now.memory.marks.letJump(halted.topic)) draft.marks.set(`${row.topic}\n${row.source}\n${row.incarnation}`, row)
    this.#now.memory.halted = null
    draft.halted = null
    // All of them: a second input may have met its own gap while the lane was halted for the first, and will meet it again.
    for (const [topic, { next: from }] of this.#now.memory.inputs) {
      if (!this.isHeld(topic)) this.#resume(topic, from)
    }
    return { outcome: 'taken', detail: `${halted.topic} goes on at ${next}` }
  }
}
