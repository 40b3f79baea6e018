import type { EffectKind, ServiceDefinition, Tables } from '#actors/runtime/service.ts'
import type { Means } from '#machines/command/assess.ts'
import { commandMachine } from '#machines/command/machine.ts'
import { tallyMachine } from '#machines/command/tally.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import { armGate, armKind, armOrders } from '../arming.ts'
import { historyIsWritable } from '../audit-watch.ts'
import type { AuthorityState } from './authority.ts'
import type { Env } from './config.ts'

export const TALLY: Address = { kind: 'tally', key: 'tally' }

export interface ExecutorDeps {
  readonly nowMs: () => number
  readonly authority: () => AuthorityState
  readonly account_id: string
  readonly sendOffer: EffectKind
}

/** The executor: a command actor a command, one tally and one arm a lane. */
export const definition = (env: Env, deps: ExecutorDeps): ServiceDefinition => ({
  name: 'trade-executor',
  lanes: 'keyed',
  kinds: {
    command: { machine: commandMachine, version: 1, input: (command_id) => ({ command_id }) },
    tally: { machine: tallyMachine, version: 1, input: () => ({}) },
    arm: armKind(TALLY),
  },
  inputs: {
    'cmd.execute_trade': ({ payload }) => ({
      to: { kind: 'command', key: payload.command_id },
      event: { type: 'command.received', command: payload },
    }),
  },
  follows: {
    'state.intent_inventory': { key: ({ pair }) => pair, version: ({ version }) => version },
    'ops.audit_state': { key: ({ lane }) => String(lane), version: ({ version }) => version },
  },
  attach: { 'command.received': (tables) => means(env, deps, tables) },
  effects: { sendOffer: deps.sendOffer },
  orders: armOrders,
  configure: [],
  gate: armGate,
  watch: [TALLY],
  retainEndedMs: 8 * 24 * 3_600_000,
})

const means = (env: Env, { nowMs, authority, account_id }: ExecutorDeps, tables: Tables): Means => {
  const { signer, salt } = authority()
  const inventory = tables.get('state.intent_inventory', PAIR)
  return {
    salt,
    account_id,
    contract_id: env.NEAR_INTENTS_CONTRACT_ID,
    signer,
    nonce_keep_ms: env.EXECUTOR_NONCE_KEEP_MS,
    btc_tokens: env.PAIR_BTC_TOKEN_IDS,
    eure_token: env.PAIR_EURE_TOKEN_ID,
    inventory: inventory && { spendable: inventory.value.spendable },
    audited: !env.STRICT_AUDIT || historyIsWritable(tables, nowMs()) === true,
  }
}
