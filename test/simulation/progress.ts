/** What has been run so far, and how fast; a line that is written over on a terminal, and now and then elsewhere. */
export class Progress {
  readonly #begun = performance.now()
  readonly #write: (text: string) => void
  readonly #isTerminal: boolean
  #saidAt = 0
  #isOpen = false
  runs = 0
  #worldSteps = 0

  constructor(write: (text: string) => void, isTerminal: boolean) {
    this.#write = write
    this.#isTerminal = isTerminal
  }

  ran(worldSteps: number): void {
    this.runs++
    this.#worldSteps += worldSteps
    const now = performance.now()
    if (now - this.#saidAt < (this.#isTerminal ? 200 : 10_000)) return
    this.#saidAt = now
    if (this.#isTerminal) this.#write(`\r${this.text}\x1b[K`)
    else this.#write(`${this.text}\n`)
    this.#isOpen = this.#isTerminal
  }

  /** A line of its own; the progress goes on below it. */
  line(text: string): void {
    this.#write(`${this.#isOpen ? '\r\x1b[K' : ''}${text}\n`)
    this.#isOpen = false
  }

  get text(): string {
    const seconds = Math.max(0.001, (performance.now() - this.#begun) / 1_000)
    const [perMinute, perSecond] = [(this.runs / seconds) * 60, this.#worldSteps / seconds].map((rate) => Math.round(rate))
    return `${this.runs} runs in ${seconds.toFixed(1)} s: ${perMinute} runs/min, ${perSecond} steps/s`
  }
}
