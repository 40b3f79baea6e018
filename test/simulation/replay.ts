import { hash } from 'node:crypto'
import type { ServiceDefinition } from '#actors/runtime/service.ts'
import type { Machine, MachineState, Output } from '#actors/runtime/xstate.ts'
import { runnable } from '#actors/runtime/xstate.ts'
import type { StoredLane } from '../twins/store-lane.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/**
 * Plays a lane's journal once more through `turn()` (I5): every output hash, every base snapshot and every stored snapshot
 * has to come out as it was written.
 * @returns what did not
 */
export const replay = (lane: StoredLane, definition: ServiceDefinition): string[] => {
  const machines = new Map(Object.entries(definition.kinds).map(([kind, { machine, version }]) => [kind, runnable(machine, version)]))
  const attached = new Map(lane.outbox.map((row) => [row.batch, row.attached ? (JSON.parse(text(row.attached)) as unknown[]) : []]))
  const actors = new Map<string, { state: MachineState; sequence: number; machine: Machine }>()
  const wrong: string[] = []

  for (const [index, row] of lane.journal.entries()) {
    const at = `${definition.name} turn ${row.turn} ${row.kind}/${row.key}`
    if (row.turn !== index + 1) wrong.push(`${at}: number ${index + 1} was due`)
    if (row.outcome !== 't' && row.outcome !== 'i') continue
    const machine = machines.get(row.kind)
    if (!machine) {
      wrong.push(`${at}: no such kind`)
      continue
    }
    const address = `${row.kind}\n${row.key}`
    const outputs: Output[] = []
    let before = actors.get(address)
    if (row.base && before && text(row.base) !== text(machine.store(before.state, before.sequence))) wrong.push(`${at}: another base`)
    if (!before) {
      const begun = machine.begin(definition.kinds[row.kind]!.input(row.key))
      outputs.push(...begun.outputs)
      before = { state: begun.state, sequence: 0, machine }
    }
    const event = JSON.parse(text(row.event)) as { type: string; attached?: { $attached: number } }
    if (event.attached) Object.assign(event, { attached: attached.get(row.batch)?.[event.attached.$attached] })
    const turned = machine.turn(before.state, event)
    outputs.push(...turned.outputs)
    const outputHash = outputs.length === 0 ? '' : hash('sha256', JSON.stringify(outputs), 'hex')
    if (outputHash !== Buffer.from(row.outputHash).toString('hex')) wrong.push(`${at} ${event.type}: other outputs`)
    if (row.sequence !== before.sequence + 1) wrong.push(`${at}: sequence ${row.sequence} after ${before.sequence}`)
    actors.set(address, { state: turned.state, sequence: row.sequence, machine })
  }

  for (const stored of lane.actors.values()) {
    const played = actors.get(`${stored.kind}\n${stored.key}`)
    const body = played ? text(played.machine.store(played.state, played.sequence)) : null
    if (body !== text(stored.body))
      wrong.push(`${definition.name} ${stored.kind}/${stored.key}: stored ${text(stored.body)}, replayed ${body}`)
  }
  return wrong
}
