import { drawnAtMs } from './marks.ts'
import type { BusReader } from '../bus-port.ts'
import type { Halt, InputRow, Recovered } from '../rows.ts'
import type { ServiceDefinition } from '../service.ts'

/** What a lane starts from, once the log has been looked at. Hands over to the running lane. */
export interface Start {
  readonly recovered: Recovered
  /** inputs that this lane never read before: to be stored with the first batch */
  readonly entered: readonly InputRow[]
  readonly halted: Halt | null
  /** Kafka has seen a later state of this lane than storage knows: storage went back */
  readonly wentBack: string | null
}

/**
 * Compares where the lane stands with what the log still holds.
 * An offset before the log's start, or after its end, is lost data or a topic made anew: the lane halts there.
 * What Kafka knows better tells that storage went back, unless the lane has a new name since its last turn: then that is known, and
 * telling it again would begin every lane anew for ever.
 */
export const examine = async (recovered: Recovered, reader: BusReader, definition: ServiceDefinition, nowMs: number): Promise<Start> => {
  const inputs = new Map(recovered.inputs.map((input) => [input.topic, input]))
  const entered: InputRow[] = []
  let { halted } = recovered.lane
  let wentBack: string | null = null
  const { lane } = recovered
  const isNamedAnew = (drawnAtMs(lane.incarnation) ?? 0) > lane.nowMs
  for (const end of await reader.ends(lane.lane)) {
    if (!(end.topic in definition.inputs)) continue
    const input = inputs.get(end.topic)
    if (!input) entered.push({ topic: end.topic, entered: end.low, enteredAtMs: nowMs, next: end.low })
    else if (end.committed !== null && end.committed > input.next && !isNamedAnew) {
      wentBack ??= `${end.topic}: Kafka has offset ${end.committed} of this lane, storage ${input.next}`
    } else halted ??= haltOf(input, end, nowMs)
  }
  return { recovered: { ...recovered, inputs: [...recovered.inputs, ...entered] }, entered, halted, wentBack }
}

const haltOf = ({ topic, next }: InputRow, { low, high }: { low: number; high: number }, nowMs: number): Halt | null => {
  if (next < low) return { topic, code: 'OFFSET_LOST', detail: `${topic}: next is ${next}, the log begins at ${low}`, since_ms: nowMs }
  if (next > high) return { topic, code: 'TOPIC_RECREATED', detail: `${topic}: next is ${next}, the log ends at ${high}`, since_ms: nowMs }
  return null
}
