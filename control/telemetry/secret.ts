import { inspect } from 'node:util'

export const HIDDEN = '[secret]'

/**
 * A string that nothing prints: not JSON, not a template literal, not `console.log`, not an error that carries it.
 * `reveal()` is the one way to its value, and the one word to grep for.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }

  [Symbol.toPrimitive](): string {
    return HIDDEN
  }

  [inspect.custom](): string {
    return HIDDEN
  }
}
