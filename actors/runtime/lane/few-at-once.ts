/** Starts at most so many pieces of work at once; the others wait in their order, and who is no longer wanted takes nobody's place. */
export class FewAtOnce<T> {
  readonly #atOnce: number
  readonly #isWanted: (one: T) => boolean
  readonly #run: (one: T, ended: () => void) => void
  readonly #waiting: T[] = []
  #running = 0

  constructor(of: { atOnce: number; isWanted: (one: T) => boolean; run: (one: T, ended: () => void) => void }) {
    this.#atOnce = of.atOnce
    this.#isWanted = of.isWanted
    this.#run = of.run
  }

  add(one: T): void {
    if (this.#running >= this.#atOnce) {
      this.#waiting.push(one)
      return
    }
    this.#running++
    this.#run(one, () => this.#ended())
  }

  #ended(): void {
    this.#running--
    let next = this.#waiting.shift()
    while (next !== undefined && !this.#isWanted(next)) next = this.#waiting.shift()
    if (next !== undefined) this.add(next)
  }
}
