import { setTimeout as after } from 'node:timers/promises'

/** Looks again and again until the list is empty. @returns what is left of it when the time is up; a look that fails is looked again */
export const emptied = async (look: () => Promise<string[]>, withinMs: number, everyMs = 100): Promise<string[]> => {
  const deadline = performance.now() + withinMs
  for (;;) {
    const left = await look().catch((error: unknown) => [error instanceof Error ? error.message : String(error)])
    if (left.length === 0 || performance.now() > deadline) return left
    await after(everyMs)
  }
}
