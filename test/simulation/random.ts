/** Every choice of a run comes out of its seed. */
export interface Random {
  /** [0, 1) */
  next(): number
  chance(probability: number): boolean
  /** whole numbers, both ends included */
  between(low: number, high: number): number
  pick<T>(list: readonly T[]): T
  /** a uuid of version 7 at a time, the rest drawn */
  uuid(atMs: number): string
}

/** sfc32: 128 bits of state, passes PractRand, four lines. @see https://pracrand.sourceforge.net/RNG_engines.txt */
export const seeded = (seed: number): Random => {
  let [a, b, c, d] = [0x9e3779b9, seed | 0, 0xb7e15162, 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }
  for (let warm = 0; warm < 15; warm++) next()
  const hex = (digits: number): string => Array.from({ length: digits }, () => Math.floor(next() * 16).toString(16)).join('')
  return {
    next,
    chance: (probability) => next() < probability,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (list) => {
      if (list.length === 0) throw new RangeError('nothing to pick from')
      return list[Math.floor(next() * list.length)]!
    },
    uuid: (atMs) => {
      const time = Math.floor(atMs).toString(16).padStart(12, '0')
      return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(3)}-8${hex(3)}-${hex(12)}`
    },
  }
}
