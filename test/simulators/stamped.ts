/** A value with its past by block height, so that reads at `final`, `optimistic` and `block_id` differ. */
export class Stamped<T> {
  #entries: { readonly height: number; readonly value: T }[] = []
  readonly #before: T

  constructor(before: T) {
    this.#before = before
  }

  get latest(): T {
    return this.#entries.at(-1)?.value ?? this.#before
  }

  /** Heights never go down. The same height again replaces: only a block's last value is seen. */
  set(height: number, value: T): void {
    if (this.#entries.at(-1)?.height === height) this.#entries.pop()
    this.#entries.push({ height, value })
    if (this.#entries.length > KEPT * 2) this.#entries = this.#entries.slice(-KEPT)
  }

  at(height: number): T {
    return this.#entries.findLast((entry) => entry.height <= height)?.value ?? this.#before
  }
}

/** Changes kept of a value; at one a block this is 40 minutes. */
const KEPT = 4_000
