import { describe, expect, it } from 'vitest'
import { runnable } from '#actors/runtime/machine/xstate.ts'
import { commandMachine } from '#machines/command/machine.ts'
import { commandMigrations } from '#machines/command/migrations.ts'

const { lineage } = runnable(commandMachine, 2, commandMigrations)
const [V1, V2] = [lineage.structureOf(1)!, lineage.structureOf(2)!]
const snapshot = { value: 'offered', context: { command_id: 'cmd-q1', quote_hash: 'h' } }
const params = { message: 'm', nonce: 'n', recipient: 'r', quote_hash: 'h', quote_id: 'q1', not_after_ms: 1 }
const actor = { snapshot, timers: [], effects: [{ name: 'sendOffer', params }] }

describe('what version 1 of a command has stored', () => {
  it('asks about the one nonce that it signed, and goes down again as it was', () => {
    const up = lineage.up(V1, actor)
    expect(up.effects).toEqual([{ name: 'sendOffer', params: { ...params, asked_for: [{ nonce: 'n', quote_hash: 'h' }] } }])
    expect(lineage.down(V2, up, 1)).toEqual({ ...actor, ...V1 })
  })

  it('takes no question back about several nonces: version 1 would believe the first', () => {
    const asked_for = ['n', 'o'].map((nonce) => ({ nonce, quote_hash: nonce }))
    const open = { ...actor, effects: [{ name: 'sendOffer', params: { ...params, asked_for } }] }
    expect(() => lineage.down(V2, open, 1)).toThrow('q1 is asked about under 2 nonces')
  })

  it.each([
    [
      'what was attached',
      { type: 'command.received', attached: { salt: 's' } },
      { type: 'command.received', attached: { salt: 's', recent_salts: [] } },
    ],
    [
      'a settlement',
      { type: 'sendOffer.happened', answer: { tx_hash: null, settled_height: 7 } },
      { type: 'sendOffer.happened', answer: { tx_hash: null, settled_height: 7, quote_hash: 'h' } },
    ],
    ['what stands beside the journal', { type: 'command.received', attached: { $attached: 0 } }, null],
    ['what was parked without it', { type: 'command.received' }, null],
    ['the chain\'s "no"', { type: 'sendOffer.never', as_of_ms: 1 }, null],
  ])("is read, and given back, in each version's form: %s", (_, old, young) => {
    for (const event of [old, young ?? old]) {
      expect(lineage.event(event, snapshot)).toEqual(young ?? old)
      expect(lineage.eventDown(event, 1, snapshot)).toEqual(old)
    }
  })
})
