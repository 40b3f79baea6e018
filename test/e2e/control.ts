import type { HostState } from '#control/host-view.ts'

export type Control = ReturnType<typeof controlAt>

/** One service's control API, as an operator's program would use it. */
export const controlAt = (url: string) => ({
  ready: async (): Promise<boolean> => {
    try {
      return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1_000) })).ok
    } catch {
      return false // it is starting, or dead
    }
  },
  /** Undefined while it does not answer. */
  state: async (): Promise<HostState | undefined> => {
    try {
      return (await (await fetch(`${url}/state`, { signal: AbortSignal.timeout(2_000) })).json()) as HostState
    } catch {
      return undefined
    }
  },
  text: async (path: string): Promise<string> => (await fetch(url + path, { signal: AbortSignal.timeout(5_000) })).text(),
  /** An order by the test. @throws {Error} unless it took effect */
  order: async (path: string, more: object = {}, method: 'POST' | 'PUT' = 'POST'): Promise<HostState> => {
    const answer = await fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ by: 'e2e', reason: 'a test', ...more }),
      signal: AbortSignal.timeout(15_000),
    })
    const said: unknown = await answer.json()
    if (answer.status !== 200) throw new Error(`${method} ${url}${path}: ${answer.status} ${JSON.stringify(said)}`)
    return said as HostState
  },
})
