/** Waits for what may never end, at most `ms`; how it ended does not matter. */
export const within = async (ms: number, work: Promise<unknown> | null | undefined): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  const done = Promise.resolve(work).then(
    () => undefined,
    () => undefined,
  )
  await Promise.race([done, limit])
  clearTimeout(timer)
}
