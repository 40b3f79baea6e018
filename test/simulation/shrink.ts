/** So many steps below the best one so far are tried one by one, because failing is not always monotone. */
const TRIED_BELOW = 16

/**
 * The fewest steps with which a world still fails. Halves first; below what that finds, one by one, a bounded number.
 * @param steps a number of steps that fails
 */
export const fewestSteps = async (fails: (steps: number) => Promise<boolean>, steps: number): Promise<number> => {
  let [passes, best] = [-1, steps]
  while (best - passes > 1) {
    const middle = (passes + best) >> 1
    if (await fails(middle)) best = middle
    else passes = middle
  }
  // Halving has just seen `best - 1` pass.
  for (let below = best - 2; below >= 0 && best - below <= TRIED_BELOW; below--) if (await fails(below)) best = below
  return best
}
