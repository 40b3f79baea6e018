import { adminServer } from './admin.ts'
import type { Auctions } from './auctions.ts'
import { Bridge } from './bridge.ts'
import { CoinGecko } from './coingecko.ts'
import { keyPairFromSeed } from './crypto.ts'
import type { Faults } from './faults.ts'
import { closeServer, listen } from './http.ts'
import { Kraken } from './kraken.ts'
import type { Ledger } from './ledger.ts'
import type { Market } from './market.ts'
import { NearRpc } from './near-rpc.ts'
import { Random } from './random.ts'
import type { Referee } from './referee.ts'
import { Relay } from './relay.ts'
import { readState, writeState } from './state-file.ts'
import type { Timers } from './timers.ts'
import { PARTNER_JWT, SOLVER, SOLVER_SEED } from './tokens.ts'
import type { Traffic } from './traffic.ts'
import { createWorld } from './world.ts'

export interface SimulatorOptions {
  /** First of seven ports: relay, NEAR node 0, node 1, bridge, Kraken, CoinGecko, admin. 0 takes free ones. */
  readonly portBase?: number
  readonly seed?: number
  /** Requests a second of the default traffic. */
  readonly rate?: number
  /** `manual`: no auction opens but by `POST /auction` or `POST /traffic`. */
  readonly scenario?: 'default' | 'manual'
  /** Balances, nonces and transits survive in it. */
  readonly stateFile?: string | undefined
  /** The solver's starting balances times this; for benches that keep many offers open. */
  readonly balanceScale?: number
  readonly blockMs?: number
}

/** What the ready line says, and what a service needs in its environment. */
export interface Endpoints {
  readonly relay_ws_url: string
  readonly relay_rpc_url: string
  /** Comma list. */
  readonly near_rpc_urls: string
  readonly bridge_url: string
  readonly kraken_ws_url: string
  readonly coingecko_url: string
  readonly admin_url: string
  readonly account_id: string
  readonly signing_key: string
  readonly jwt: string
}

export interface Simulators {
  readonly endpoints: Endpoints
  readonly auctions: Auctions
  readonly bridge: Bridge
  readonly faults: Faults
  readonly kraken: Kraken
  readonly ledger: Ledger
  readonly market: Market
  readonly referee: Referee
  readonly relay: Relay
  readonly traffic: Traffic
  close(): Promise<void>
}

/**
 * Starts every venue on 127.0.0.1 and answers when all of them listen.
 * @throws {Error} a port is taken
 */
export const startSimulators = async (options: SimulatorOptions = {}): Promise<Simulators> => {
  const { portBase = 0, seed = 1, rate = 2, scenario = 'default', stateFile, balanceScale = 1, blockMs = 600 } = options
  const state = readState(stateFile)
  const world = createWorld({ seed, rate, balanceScale, state })
  const { now, timers, faults, ledger, market, referee, settlement, auctions, traffic } = world
  const relay = new Relay({ auctions, settlement, ledger, faults, timers, jwts: [PARTNER_JWT] })
  const nodes = [new NearRpc(0, { ledger, faults, timers }), new NearRpc(1, { ledger, faults, timers })] as const
  const bridge = new Bridge({ ledger, faults, timers, state: state?.bridge })
  const kraken = new Kraken({ market, faults, timers, now, random: new Random(seed + 4) })
  const coingecko = new CoinGecko({ market, faults, timers, now })
  const admin = adminServer({ auctions, bridge, coingecko, faults, ledger, market, referee, relay, traffic })
  timers.every(blockMs, () => ledger.produceBlock())
  const save = stateFile === undefined ? () => {} : () => writeState(stateFile, { ledger: ledger.state(), bridge: bridge.state() })
  saveAfterChanges([ledger, bridge], timers, save)

  const servers = [relay.server, nodes[0].server, nodes[1].server, bridge.server, kraken.server, coingecko.server, admin]
  const listening = await Promise.allSettled(servers.map((server, index) => listen(server, portBase === 0 ? 0 : portBase + index)))
  const failed = listening.find((one) => one.status === 'rejected')
  if (failed) {
    timers.clear()
    await Promise.all(servers.filter((server) => server.listening).map(closeServer))
    throw failed.reason
  }
  const ports = listening.map((one) => (one.status === 'fulfilled' ? one.value : 0))
  traffic.set(scenario === 'default')
  return {
    endpoints: endpointsOf(ports),
    auctions,
    bridge,
    faults,
    kraken,
    ledger,
    market,
    referee,
    relay,
    traffic,
    close: async () => {
      timers.clear()
      relay.terminateAll()
      kraken.terminateAll()
      await Promise.all(servers.map(closeServer))
      save()
    },
  }
}

/** Within half a second, so always before what happened is final: two blocks are 1.2 s. */
const saveAfterChanges = (sources: readonly (Ledger | Bridge)[], timers: Timers, save: () => void): void => {
  let waiting = false
  const changed = (): void => {
    if (waiting) return
    waiting = true
    timers.after(400, () => {
      waiting = false
      save()
    })
  }
  for (const source of sources) source.onChange(changed)
}

const endpointsOf = (ports: readonly number[]): Endpoints => {
  const at = (index: number): string => `127.0.0.1:${ports[index] ?? 0}`
  return {
    relay_ws_url: `ws://${at(0)}/ws`,
    relay_rpc_url: `http://${at(0)}/rpc`,
    near_rpc_urls: `http://${at(1)},http://${at(2)}`,
    bridge_url: `http://${at(3)}/rpc`,
    kraken_ws_url: `ws://${at(4)}/v2`,
    coingecko_url: `http://${at(5)}/api/v3`,
    admin_url: `http://${at(6)}`,
    account_id: SOLVER,
    signing_key: keyPairFromSeed(SOLVER_SEED).secretKey,
    jwt: PARTNER_JWT,
  }
}
