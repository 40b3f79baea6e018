import type { Log } from '#actors/runtime/ports.ts'
import type { Answer, EffectContext, EffectKind } from '#actors/runtime/service.ts'

type Read = Extract<EffectKind, { mode: 'idempotent' }>

/**
 * The same read, and a line in the log when its source no longer answers and when it does again.
 * @param failure why an answer is none, for a source whose faults are answers; null: it is one
 */
export const loggedRead = (
  read: EffectKind,
  log: Log,
  source: string,
  failure: (answer: Answer) => string | null = () => null,
): EffectKind => {
  if (read.mode !== 'idempotent') return read
  let failures = 0
  const lost = (why: string): void => {
    failures += 1
    if (failures === 1) log.warn({ event: 'source.lost', source }, `${source} does not answer: ${why}`)
  }
  const send: Read['send'] = async (params: unknown, context: EffectContext) => {
    try {
      const answer = await read.send(params, context)
      const why = failure(answer)
      if (why !== null) lost(why)
      else {
        if (failures > 0) log.info({ event: 'source.restored', source, failures }, `${source} answers again`)
        failures = 0
      }
      return answer
    } catch (error) {
      // What was stopped from our side says nothing about the source.
      if (!context.signal.aborted) lost(error instanceof Error ? error.message : String(error))
      throw error
    }
  }
  return { mode: 'idempotent', send }
}
