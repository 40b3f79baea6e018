import type { z } from 'zod'
import type { EffectKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { withLifecycle } from '#actors/services/lifecycle-kind.ts'

/**
 * The services as the code at hand defines them, for reading what they have stored: nothing is connected, and no effect
 * of theirs can be run. What the environment says of them is taken, what it leaves out is made up.
 * @throws {RangeError} no service of this name
 */
export const definitionOf = async (service: string, env: NodeJS.ProcessEnv): Promise<ServiceDefinition> => {
  const define = DEFINITIONS[service]
  if (!define) throw new RangeError(`no service ${service}; there are: ${Object.keys(DEFINITIONS).join(', ')}`)
  return withLifecycle(await define({ ...NOWHERE, ...filled(env) }))
}

const never: EffectKind = { mode: 'idempotent', send: () => Promise.reject(new Error('nothing is sent from here')) }

const neverSent: EffectKind = {
  mode: 'ask first',
  send: async () => ({ not_sent: 'nothing is sent from here' }),
  ask: async () => ({ answer: 'unknown', as_of_ms: 0, detail: {} }),
  askAfterMs: 0,
  askEveryMs: 1_000,
}

const DEFINITIONS: Readonly<Record<string, (env: NodeJS.ProcessEnv) => Promise<ServiceDefinition>>> = {
  'near-intents-ingest': async (env) => {
    const [{ definition }, { Env }] = await Promise.all([
      import('#actors/services/near-intents-ingest/actors.ts'),
      import('#actors/services/near-intents-ingest/config.ts'),
    ])
    return definition(read(Env, env))
  },
  'market-reference-ingest': async (env) => {
    const [{ definition }, { Env }] = await Promise.all([
      import('#actors/services/market-reference-ingest/actors.ts'),
      import('#actors/services/market-reference-ingest/config.ts'),
    ])
    return definition(read(Env, env), { pollCoinGecko: never })
  },
  'inventory-sync': async (env) => {
    const [{ definition }, { Env }] = await Promise.all([
      import('#actors/services/inventory-sync/actors.ts'),
      import('#actors/services/inventory-sync/config.ts'),
    ])
    return definition(read(Env, env), { readBalances: never, readPending: never })
  },
  'liquidity-manager': async (env) => {
    const [{ definition }, { Env }] = await Promise.all([
      import('#actors/services/liquidity-manager/actors.ts'),
      import('#actors/services/liquidity-manager/config.ts'),
    ])
    return definition(read(Env, env), { requestAddress: never, pollBridge: never })
  },
  'strategy-engine': async (env) => {
    const [{ definition }, { Env }] = await Promise.all([
      import('#actors/services/strategy-engine/actors.ts'),
      import('#actors/services/strategy-engine/config.ts'),
    ])
    return definition(read(Env, env), { nowMs: () => 0 })
  },
  'trade-executor': async (env) => {
    const [{ definition }, { Env }] = await Promise.all([
      import('#actors/services/trade-executor/actors.ts'),
      import('#actors/services/trade-executor/config.ts'),
    ])
    const nobody = (): never => {
      throw new Error('nothing is signed from here')
    }
    return definition(read(Env, env), {
      nowMs: () => 0,
      authority: nobody,
      salts: () => [],
      actor: () => [],
      account_id: '',
      sendOffer: neverSent,
    })
  },
  'history-writer': async () => (await import('#actors/services/history-writer/actors.ts')).definition({ learnLane: never }),
  'alert-evaluator': async (env) => {
    const [{ definition }, { Env }] = await Promise.all([
      import('#actors/services/alert-evaluator/actors.ts'),
      import('#actors/services/alert-evaluator/config.ts'),
    ])
    return definition(read(Env, env))
  },
}

/** What a service cannot start without, and its definition does not use. */
const NOWHERE = {
  KAFKA_BROKERS: 'nowhere:1',
  DATABASE_URL: 'postgres://nowhere',
  NEAR_RPC_URLS: 'http://nowhere',
  NEAR_INTENTS_BRIDGE_URL: 'http://nowhere',
  NEAR_INTENTS_RELAY_WS_URL: 'ws://nowhere',
  KRAKEN_WS_URL: 'ws://nowhere',
  COINGECKO_API_URL: 'http://nowhere',
}

const read = <E>(Env: z.ZodType<E>, env: NodeJS.ProcessEnv): E => Env.parse(env)

const filled = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
