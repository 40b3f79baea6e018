/** Timers that all end with their simulator. */
export class Timers {
  readonly #running = new Set<NodeJS.Timeout>()

  after(ms: number, run: () => void): NodeJS.Timeout {
    const timer = setTimeout(
      () => {
        this.#running.delete(timer)
        run()
      },
      Math.max(0, ms),
    )
    this.#running.add(timer)
    return timer
  }

  every(ms: number, run: () => void): NodeJS.Timeout {
    const timer = setInterval(run, ms)
    this.#running.add(timer)
    return timer
  }

  cancel(timer: NodeJS.Timeout | undefined): void {
    if (!timer) return
    clearTimeout(timer)
    this.#running.delete(timer)
  }

  clear(): void {
    for (const timer of this.#running) clearTimeout(timer)
    this.#running.clear()
  }
}
