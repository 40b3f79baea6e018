import type { Answer, OracleAnswer } from '#actors/runtime/service.ts'
import type { SimProcess } from '../process.ts'
import { signing } from '../process.ts'
import type { Random } from '../random.ts'
import type { VirtualTime } from '../virtual-time.ts'

export interface Submission {
  readonly effect: string
  readonly command_id: string
  readonly not_after_ms: number
}

/** How long a handler waits for a word. */
const PATIENCE_MS = 300

/**
 * A venue with a ledger of truth. It takes what arrives in time, settles some of it up to `not_after`, and what it says
 * about that is another matter: answers get lost, come late, or say "error" of what was taken.
 */
export class Venue {
  readonly #time: VirtualTime
  readonly #random: Random
  /** command_id → when it settled */
  readonly settled = new Map<string, number>()
  readonly sends: { submission: Submission; process: SimProcess; atMs: number }[] = []
  /** every send, at the moment that it leaves */
  onSend: (submission: Submission, process: SimProcess) => void = () => {}

  constructor(time: VirtualTime, random: Random) {
    this.#time = time
    this.#random = random
  }

  submit(submission: Submission, process: SimProcess): Promise<{ answered: Answer }> {
    this.sends.push({ submission, process, atMs: this.#time.nowMs })
    this.onSend(submission, process)
    return new Promise((resolve) => {
      const say = (answered: Answer): void => process.enter('venue answer', () => resolve({ answered }))
      this.#time.after(PATIENCE_MS, `${process.name} venue silent`, () => say({ kind: 'silence' }))
      this.#time.after(this.#travel(), `venue gets ${submission.command_id}`, () => {
        if (process.dead && this.#random.chance(0.3)) return
        const taken = this.#time.nowMs <= submission.not_after_ms && this.#random.chance(0.85)
        if (taken && this.#random.chance(0.8)) this.#settleLater(submission)
        if (this.#random.chance(0.25)) return
        const kind = taken && this.#random.chance(0.85) ? 'ok' : 'error'
        this.#time.after(this.#travel(), `venue answers ${submission.command_id}`, () => say({ kind }))
      })
    })
  }

  /** The oracle reads a final block, which is a little old. It says "never" too early on purpose: that is the runtime's to judge. */
  ask({ command_id }: Submission, process: SimProcess): Promise<OracleAnswer> {
    return new Promise((resolve, reject) => {
      this.#time.after(PATIENCE_MS, `${process.name} oracle silent`, () => process.enter('oracle', () => reject(new Error('no answer'))))
      this.#time.after(this.#travel(), `oracle is asked ${command_id}`, () => {
        if (this.#random.chance(0.15)) return
        const as_of_ms = Math.floor(this.#time.nowMs) - this.#random.between(50, 600)
        const at = this.settled.get(command_id)
        const answer = at !== undefined && at <= as_of_ms ? 'happened' : this.#random.chance(0.1) ? 'unknown' : 'never'
        const said: OracleAnswer = { answer, as_of_ms, detail: { command_id } }
        this.#time.after(this.#travel(), `oracle answers ${command_id}`, () => process.enter('oracle', () => resolve(said)))
      })
    })
  }

  sign(process: SimProcess): Promise<void> {
    return signing(process, this.#random)
  }

  /** A read that may run any number of times, and fails now and then. */
  read(process: SimProcess): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#time.after(PATIENCE_MS, `${process.name} read silent`, () => process.enter('read', () => reject(new Error('no answer'))))
      if (this.#random.chance(0.15)) return
      const fails = this.#random.chance(0.2)
      this.#time.after(this.#travel(), `${process.name} read`, () =>
        process.enter('read', () => (fails ? reject(new Error('venue is busy')) : resolve({ price: '60000.5' }))),
      )
    })
  }

  #settleLater({ command_id, not_after_ms }: Submission): void {
    const left = Math.floor(not_after_ms - this.#time.nowMs)
    // Known to the oracle from then on; a machine that stands still does not hold the venue up.
    this.settled.set(command_id, this.#time.nowMs + this.#random.between(0, left))
  }

  #travel(): number {
    return this.#random.chance(0.05) ? this.#random.between(100, 1_500) : 2 + this.#random.next() * 40
  }
}
