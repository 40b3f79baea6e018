import type { EffectKind, ServiceDefinition, Tables } from '#actors/runtime/service.ts'
import type { Means } from '#machines/command/assess.ts'
import { commandMachine } from '#machines/command/machine.ts'
import { commandMigrations } from '#machines/command/migrations.ts'
import { SALTS, saltsMachine } from '#machines/command/salts.ts'
import type { SaltsContext, SaltsEvent, SeenSalt } from '#machines/command/salts.ts'
import { tallyMachine } from '#machines/command/tally.ts'
import { PAIR } from '#machines/contracts/ids.ts'
import type { Address, Stamp } from '#machines/contracts/stamp.ts'
import { armGate, armKind, armOrders } from '../arming.ts'
import { historyIsWritable } from '../audit-watch.ts'
import type { AuthorityState } from './authority.ts'
import type { Env } from './config.ts'

export const TALLY: Address = { kind: 'tally', key: 'tally' }

export interface ExecutorDeps {
  readonly nowMs: () => number
  readonly authority: () => AuthorityState
  /** that this process has seen itself */
  readonly salts: () => readonly SeenSalt[]
  /** a fixed actor in every held lane, as committed */
  readonly actor: (kind: string, key: string) => readonly { readonly context: unknown }[]
  readonly account_id: string
  readonly sendOffer: EffectKind
}

/** The executor: a command actor a command; a tally, an arm and the salts a lane. */
export const definition = (env: Env, deps: ExecutorDeps): ServiceDefinition => ({
  name: 'trade-executor',
  lanes: 'keyed',
  kinds: {
    command: { machine: commandMachine, version: 2, migrations: commandMigrations, input: (command_id) => ({ command_id }) },
    tally: { machine: tallyMachine, version: 1, input: () => ({}) },
    salts: { machine: saltsMachine, version: 1, input: () => ({}) },
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
  learnt: () => learnt(deps.salts()),
  gate: armGate,
  watch: [TALLY, SALTS],
  retainEndedMs: 8 * 24 * 3_600_000,
})

const learnt = (salts: readonly SeenSalt[]): readonly { to: Address; event: Omit<SaltsEvent, keyof Stamp> }[] =>
  salts.length > 0 ? [{ to: SALTS, event: { type: 'salts.seen', salts } }] : []

const means = (env: Env, { nowMs, authority, salts, actor, account_id }: ExecutorDeps, tables: Tables): Means => {
  const { signer, salt } = authority()
  // Storage may have gone back behind what this process has seen, and this process may be younger than what is stored.
  const stored = actor(SALTS.kind, SALTS.key).flatMap(({ context }) => (context as SaltsContext).recent)
  const inventory = tables.get('state.intent_inventory', PAIR)
  return {
    salt,
    recent_salts: [...new Set([...stored, ...salts()].map((seen) => seen.salt))],
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
