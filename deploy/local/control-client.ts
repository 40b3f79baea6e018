/** What `npm start` asks of a service's control API: is it ready, what blocks it, arm, drain. */
import { z } from 'zod'

export type ControlClient = {
  readonly url: string
  /** whether it is ready, and if not, what /state says blocks it; undefined while it does not answer yet */
  look(): Promise<Look | undefined>
  order(path: '/arm' | '/drain', reason: string): Promise<OrderAnswer>
}

export type Look = {
  readonly ready: boolean
  readonly lifecycle: string
  readonly armed: boolean | undefined
  readonly blocked: readonly string[]
}
export type OrderAnswer = { readonly ok: boolean; readonly status: number; readonly code: string | null; readonly message: string }

const State = z.looseObject({
  lifecycle: z.string(),
  blocked: z.array(z.looseObject({ code: z.string() })),
  strategy: z.looseObject({ armed: z.boolean() }).optional().catch(undefined),
  executor: z.looseObject({ armed: z.boolean() }).optional().catch(undefined),
})
const ErrorBody = z.looseObject({ error: z.looseObject({ code: z.string(), message: z.string() }) })

const TIMEOUT_MS = 2_000

export const controlClient = (url: string, token: string | undefined): ControlClient => {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const get = (path: string): Promise<Response> =>
    fetch(`${url}${path}`, { headers: authorization, signal: AbortSignal.timeout(TIMEOUT_MS) })
  return {
    url,
    look: async () => {
      try {
        const ready = (await get('/readyz')).ok
        const { data } = State.safeParse(await (await get('/state')).json())
        if (data === undefined) return undefined
        const armed = data.strategy?.armed ?? data.executor?.armed
        return { ready, lifecycle: data.lifecycle, armed, blocked: data.blocked.map(({ code }) => code) }
      } catch {
        return undefined // not listening yet, or busy recovering
      }
    },
    order: async (path, reason) => {
      try {
        const answer = await fetch(`${url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...authorization },
          body: JSON.stringify({ by: 'local-start', reason }),
          // Longer than the runtime waits for every lane before it answers 202.
          signal: AbortSignal.timeout(10_000),
        })
        const body = ErrorBody.safeParse(await answer.json().catch(() => undefined))
        const { code = null, message = answer.statusText } = body.data?.error ?? {}
        return { ok: answer.ok, status: answer.status, code, message }
      } catch (error) {
        return { ok: false, status: 0, code: null, message: error instanceof Error ? error.message : String(error) }
      }
    },
  }
}
