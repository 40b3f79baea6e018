import type { HostState } from '../host-view.ts'
import { armedIn } from '../telemetry/state-metrics.ts'
import type { Answer, Client } from './client.ts'
import { stateIn } from './client.ts'
import { CliFailure } from './failure.ts'

export type OrderName = 'arm' | 'disarm' | 'pause' | 'resume' | 'drain' | 'reconcile' | 'accept-loss'

/**
 * Gives one order and makes sure that what it ordered is so: "the order was taken" is not "it is armed".
 * @throws {CliFailure} refused, not committed by every lane yet, or the state after it says otherwise
 */
export const giveOrder = async (client: Client, name: OrderName, by: string, reason: string, patience: Patience): Promise<Ended> => {
  const answer = await client.order(`/${name}`, { by, reason })
  if (answer.status === 404) throw new CliFailure('NO_SUCH_ORDER', `${client.service} takes no order ${name}`)
  if (name === 'drain') return drained(client, answer, patience)
  if (answer.status === 202)
    throw new CliFailure(
      'PENDING',
      `${client.service}: order ${String(answer.body['id'])} (${name}) is written; not every lane has committed it yet`,
    )
  const state = stateIn(answer.body, client.service)
  const amiss = contradiction(name, state)
  if (amiss !== null) throw new CliFailure('NOT_SO', `${client.service}: the order ${name} was taken, and ${amiss}`)
  return state
}

/** The state after an order; of a process that has ended, what is left to say of it. */
type Ended = HostState | { readonly service: string; readonly lifecycle: 'drained' }

/** How long a drain is waited for, and how the next look is waited for. */
export interface Patience {
  readonly forMs: number
  pause(ms: number): Promise<void>
}

const LOOK_EVERY_MS = 200

/** A drained process ends, so nobody answering is what was asked for; only a timeout is not. */
const drained = async (client: Client, first: Answer, { forMs, pause }: Patience): Promise<Ended> => {
  let last = first.status === 202 ? first.body['state'] : first.body
  for (let waited = 0; ; waited += LOOK_EVERY_MS) {
    // The last answer of a process may come without its state.
    const state = last === null ? null : stateIn(last, client.service)
    if (state?.lifecycle === 'drained') return state
    if (waited >= forMs)
      throw new CliFailure(
        'PENDING',
        `${client.service} is still ${state?.lifecycle ?? 'draining'} after ${forMs / 1_000} s; the drain goes on`,
      )
    await pause(LOOK_EVERY_MS)
    const seen = await client.get('/state').catch((error: unknown) => {
      if (error instanceof CliFailure && error.code === 'UNREACHABLE') return null
      throw error
    })
    if (seen === null) return { service: client.service, lifecycle: 'drained' }
    last = seen.body
  }
}

const contradiction = (name: Exclude<OrderName, 'drain'>, state: HostState): string | null => {
  switch (name) {
    case 'arm':
      return armedIn(state) ? null : `it is not armed${because(state)}`
    case 'disarm':
      return armedIn(state) ? 'it is still armed' : null
    case 'pause':
      return state.lifecycle === 'paused' ? null : `its lifecycle is ${state.lifecycle}`
    case 'resume':
      return state.lifecycle === 'paused' ? 'it is still paused' : null
    case 'reconcile':
      return state.blocked.some(({ code }) => code === 'STATE_DISAGREES') ? `it still disagrees${because(state)}` : null
    case 'accept-loss':
      return state.lanes.some((lane) => 'halted' in lane && lane.halted !== null) ? `a lane is still halted${because(state)}` : null
  }
}

const because = ({ blocked }: HostState): string =>
  blocked.length === 0 ? '' : `: ${blocked.map(({ code, detail }) => `${code} (${detail})`).join(', ')}`
