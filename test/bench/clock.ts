/** Wall clock in ms with fractions: the same in every process of this machine, to a fraction of a millisecond. */
export const nowMs = (): number => performance.timeOrigin + performance.now()
