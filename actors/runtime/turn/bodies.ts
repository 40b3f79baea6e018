import type { Cause } from '#machines/contracts/stamp.ts'
import { fromBytes } from '../json.ts'
import type { EffectRow, TimerRow } from '../rows.ts'

/** What the bytes of an effect's and of a timer's row say. */
export interface EffectBody {
  readonly params: unknown
  readonly cause: Cause | null
  /** of an invoked read: its id in the machine */
  readonly invoke?: string
}

export interface TimerBody {
  readonly event: { readonly type: string }
  readonly cause: Cause | null
}

export const effectBody = ({ body }: Pick<EffectRow, 'body'>): EffectBody => fromBytes(body) as EffectBody
export const timerBody = ({ event }: Pick<TimerRow, 'event'>): TimerBody => fromBytes(event) as TimerBody
