import { fstatSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startSimulators } from './start.ts'

/*
 * The venues, pretended, in one process that speaks their real wire protocols: NEAR Intents' solver bus (websocket and JSON-RPC), two NEAR
 * nodes over one ledger, the POA bridge, Kraken's public websocket v2, CoinGecko. Everything listens on 127.0.0.1.
 *
 *   node test/simulators/main.ts --port-base 0 --seed 1 --rate 2 --scenario default|manual --state-file F --balance-scale 1
 *
 * One line on stdout when all listen: {"event":"ready","relay_ws_url","relay_rpc_url","near_rpc_urls","bridge_url","kraken_ws_url",
 * "coingecko_url","admin_url","account_id","signing_key","jwt"}. SIGTERM, SIGINT and the end of a piped stdin end it.
 *
 * Admin API, JSON in and out, 400 with {"error"} for a wrong body:
 *
 *   GET  /report[?limit=N]  {at, violations:[{code, quote_id, detail, at}], violation_counts, auctions, by_outcome, responses, accepted,
 *                           rejected:{text:n}, settled, expired, open, balances, open_units, relay, answered:[Answer], auction_list:[Auction]}
 *                           Answer:  {quote_id, quote_hash, nonce, token_in, token_out, amount_in, amount_out, deadline, responded_at,
 *                                    relay_said:OK|error|silence, error?, state:open|settled|expired_unused, tx_hash?, settled_height?}
 *                           Auction: {quote_id, token_in, token_out, fixed_side, amount, min_deadline_ms, plan, opened_at, closed_at, outcome,
 *                                    responses, declines, rejections, latency_ms, quote_hash, answer_state, tx_hash, settled_height, failure};
 *                                    outcome: open, no_response, declined, only_rejected, lost, not_accepted, price_refused, accepted, settled,
 *                                    settle_failed. The list holds auctions with a response. Violation codes: referee.ts.
 *   GET  /auction?quote_id= one Auction, answered or not
 *   GET  /latency           {broadcast, count, p50, p90, p99, max, list} ms from broadcast to first response; POST /latency/reset
 *   POST /auction           {token_in, token_out, exact_amount_in | exact_amount_out (gross), quote_id?, min_deadline_ms=3000, min_wait_ms=200,
 *                           max_wait_ms=1000, protocol_fee_included=false, partner_id="1click", plan=accept|lose|ignore|fail|external,
 *                           competitor_bps?, settle_delay_ms?, data_overrides?} opens one; answers the Auction
 *   POST /traffic           {on, rate?}
 *   POST /expect            {armed?, threshold_bps?, max_notional_eure?:"5", edge_window_ms?} what the solver is held to from now on
 *   POST /price             {mid:61000, coingecko=true} the price jumps; GET /price
 *   POST /deposit           {token_id, amount, account_id?, delay_ms=2000, final_status=CREDITED|COMPLETED|FAILED|PENDING, tx_hash?}
 *   POST /salt              {kill_old=false} rotates
 *   POST /contract          {action: lock|unlock, account_id?} | {action: add_key|remove_key, public_key, account_id?} |
 *                           {action: burn_nonce|forget_nonce, nonce, account_id?} | {action: mint|burn, token_id, amount, account_id?} |
 *                           {action: fee, pips} | {action: pause|unpause|forbid_legacy_nonces}
 *   POST /fault             {name, on=true, count?, after?, probability?, value?, node?}; GET /fault lists; POST /fault/clear ends all
 *
 * Faults; without `count` they last until switched off:
 *
 *   relay.drop                    every connection is cut, once
 *   relay.refuse                  handshakes get HTTP status `value` (502)
 *   relay.half_open               the connections there are now swallow everything for good; new ones are sound
 *   relay.no_pong                 pings are not answered
 *   relay.drop_on_response        cut when a quote_response comes, which is lost
 *   relay.drop_before_answer      cut after it was taken, before its answer
 *   relay.swallow_executed        taken, never answered, settles
 *   relay.swallow_dropped         never answered, never taken
 *   relay.error_but_settles       answered with the error `value`, settles
 *   relay.ok_never_settles        OK, and nothing more
 *   relay.settle_at_deadline      settles in the deadline's last milliseconds; relay.settle_after_deadline tries after it and fails
 *   relay.fail_then_success       a failed batch, then a good one
 *   relay.duplicate_frames, relay.reorder_frames, relay.delay_frames (`value` ms)
 *   relay.invalid_json, relay.unknown_notification      one such frame to every connection, now
 *   relay.docs_envelope           the flat envelope that the documentation prints
 *   relay.suppress_status, relay.foreign_status         no status frames; somebody else's before ours
 *   relay.rpc_status              /rpc answers HTTP `value`
 *   kraken.drop, kraken.refuse (`value`), kraken.silence (no frame at all), kraken.freeze (heartbeats, the price stands still)
 *   kraken.status                 tells system `value` (maintenance); again with "online" to end it
 *   coingecko.status (`value`, 429), coingecko.timeout (`value` ms), coingecko.stale (`value` s old), coingecko.body (`value`)
 *   rpc.dead, rpc.lag (`value` blocks), rpc.slow (`value` ms), rpc.status (`value`, 429), rpc.html, rpc.disagree (balances off by `value`),
 *   rpc.structured_panic          each of one `node` (0, 1) or of both
 *   bridge.error (`value`), bridge.status (`value`), bridge.slow (`value` ms)
 */
export { startSimulators } from './start.ts'
export type { Endpoints, SimulatorOptions, Simulators } from './start.ts'

const run = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      'port-base': { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '2' },
      scenario: { type: 'string', default: 'default' },
      'state-file': { type: 'string' },
      'balance-scale': { type: 'string', default: '1' },
    },
  })
  const simulators = await startSimulators({
    portBase: number('port-base', values['port-base']),
    seed: number('seed', values.seed),
    rate: number('rate', values.rate),
    scenario: values.scenario === 'manual' ? 'manual' : 'default',
    stateFile: values['state-file'],
    balanceScale: number('balance-scale', values['balance-scale']),
  })
  process.stdout.write(`${JSON.stringify({ event: 'ready', ...simulators.endpoints })}\n`)
  let ending = false
  const end = (): void => {
    if (ending) return
    ending = true
    void simulators.close().then(() => process.exit(0))
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  // The parent holds our stdin: when it dies, however it dies, we go too.
  if (isPipe(0)) process.stdin.on('end', end).on('close', end).on('error', end).resume()
}

/** A terminal or /dev/null as stdin says nothing about a parent. */
const isPipe = (descriptor: number): boolean => {
  const kind = fstatSync(descriptor)
  return kind.isFIFO() || kind.isSocket()
}

const number = (name: string, text: string): number => {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0) throw new RangeError(`--${name} must be a number, not ${JSON.stringify(text)}`)
  return value
}

if (import.meta.main)
  run().catch((error: unknown) => {
    process.stderr.write(`simulators: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  })
