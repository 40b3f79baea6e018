import { startHost, moment, serviceOf } from './bench-host.ts'
import type { Contestant } from './contest.ts'
import { measured } from './contest.ts'
import { EVENTS_AN_ACTOR, orderMachine, STEPS } from './work.ts'

const KIND = 'order'
/** Actors whose events are interleaved. */
const WINDOW = 200
/** Events given and not committed. */
const IN_FLIGHT = 4_000

const orderKinds = { [KIND]: { machine: orderMachine, version: 1, input: (order: string) => ({ order }) } }

/** A host with its lane on PostgreSQL: fence, journal, snapshot and outbox, without Kafka. */
export const ours = (url: string, postgres: number, actors: number): Contestant => ({
  name: 'ours',
  about: 'a host and one lane: fence, journal, snapshot, outbox; one commit a batch',
  actors,
  run: async (round, count) => {
    const { host, turned, close } = await startHost({ url, definition: serviceOf(orderKinds) })
    const [transitions, before] = [count * EVENTS_AN_ACTOR, turned()]
    const result = await measured(transitions, { servers: [postgres] }, async () => {
      let given = 0
      for (let first = 0; first < count; first += WINDOW) {
        for (const [step, type] of STEPS.entries()) {
          for (let actor = first; actor < Math.min(first + WINDOW, count); actor++) {
            host.tell({ kind: KIND, key: `${round}-${actor}` }, { type, amount: `${actor}.${step}` })
            given++
          }
        }
        while (given - (turned() - before) > IN_FLIGHT) await moment()
      }
      while (turned() - before < transitions) await moment()
    })
    await close()
    return result
  },
  close: async () => undefined,
})
