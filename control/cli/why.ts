import { DECIMALS, fromUnits } from '#machines/contracts/money.ts'
import type { Asset } from '#machines/contracts/money.ts'
import { duration } from './print.ts'
import type { ChainRecord, QuoteChain } from './readings.ts'

/**
 * Why a quote ended as it did, for people: what was asked, the price and the inventory that were used, the decision with
 * all its reasons, the command, and each result. A step that the history does not have is said to be missing, not left out.
 */
export const tellChain = ({ quote_id, records }: QuoteChain): string => {
  const of = (type: string): ChainRecord[] => records.filter(({ event_type }) => event_type === type)
  const [demand] = of('swap_demand')
  const [decision] = of('trade_decision')
  const [command] = of('execute_trade')
  const results = of('trade_result')
  const start = demand ?? decision ?? command ?? results[0]
  const told: Step[] = [
    demand ? tellDemand(demand) : missing('demand', 'the history has no demand of this quote'),
    ...of('market_price').map((record) => tellPrice(record, decision)),
    ...of('intent_inventory').map((record) => tellInventory(record, start)),
    decision ? tellDecision(decision) : missing('decision', 'not decided, or the decision is not in the history yet'),
    ...(command ? [tellCommand(command)] : []),
    ...results.map(tellResult),
    ...(command && results.length === 0 ? [missing('result', 'no result yet')] : []),
  ]
  return [
    `quote ${quote_id}${start ? `, correlation ${start.correlation_id ?? 'none'}` : ''}`,
    ...told.flatMap((step) => lines(step, start)),
  ].join('\n')
}

interface Step {
  readonly name: string
  readonly record: ChainRecord | null
  readonly says: readonly string[]
}

const missing = (name: string, text: string): Step => ({ name, record: null, says: [text] })

const INDENT = ' '.repeat(11)

const lines = ({ name, record, says }: Step, start: ChainRecord | undefined): string[] => {
  const [first = '', ...more] = says
  const after = record && start && record !== start ? since(start, record) : ''
  const origin = record === null ? [] : [whence(record)]
  return [`${name.padEnd(INDENT.length)}${first}${after}`, ...[...more, ...origin].map((line) => `${INDENT}${line}`)]
}

const whence = ({ event_id, place, source, causation_id }: ChainRecord): string =>
  [event_id, place && ` ${place}`, source && ` from ${source}`, causation_id && `, because of ${causation_id}`].filter(Boolean).join('')

const since = ({ ingested_at: from }: ChainRecord, { ingested_at: to }: ChainRecord): string => {
  if (from === null || to === null) return ''
  const ms = Date.parse(to) - Date.parse(from)
  return ms < 0 ? ` (${duration(-ms)} before)` : ` (+${duration(ms)})`
}

const text = (record: ChainRecord, field: string): string => {
  const value = record.payload[field]
  return value === null || value === undefined ? '?' : typeof value === 'object' ? JSON.stringify(value) : String(value)
}

const has = (record: ChainRecord, field: string): boolean => record.payload[field] !== null && record.payload[field] !== undefined

/** The asset behind the taker's two token ids. */
const assets = (record: ChainRecord): { given: Asset; wanted: Asset } =>
  record.payload['direction'] === 'btc_to_eure' ? { given: 'BTC', wanted: 'EURe' } : { given: 'EURe', wanted: 'BTC' }

const amount = (units: unknown, asset: Asset): string =>
  typeof units === 'string' && /^\d+$/.test(units) ? `${fromUnits(BigInt(units), DECIMALS[asset])} ${asset}` : `some ${asset}`

/** "0.001 BTC for 61 EURe", as the taker sees it. */
const swap = (record: ChainRecord): string => {
  const { given, wanted } = assets(record)
  return `${amount(record.payload['amount_in'], given)} for ${amount(record.payload['amount_out'], wanted)}`
}

const tellDemand = (record: ChainRecord): Step => ({
  name: 'demand',
  record,
  says: [
    `${record.ingested_at ?? 'at an unknown time'}: a taker gives ${swap(record)} (fixed: ${text(record, 'fixed_side')})`,
    `answers within ${ms(record, 'ttl_ms')}, each good for ${ms(record, 'min_deadline_ms')}; ${text(record, 'asset_in')} -> ${text(record, 'asset_out')}`,
  ],
})

const ms = (record: ChainRecord, field: string): string =>
  typeof record.payload[field] === 'number' ? duration(record.payload[field]) : '?'

const tellPrice = (record: ChainRecord, decision: ChainRecord | undefined): Step => {
  const { kraken, coingecko } = record.payload as { kraken?: { bid?: string; ask?: string } | null; coingecko?: { price?: string } | null }
  const fresh = decision && has(decision, 'price_freshness_ms') ? `, ${ms(decision, 'price_freshness_ms')} old when decided` : ''
  return {
    name: 'price',
    record,
    says: [
      `kraken ${kraken ? `bid ${kraken.bid}, ask ${kraken.ask}` : 'none'}; coingecko ${coingecko ? coingecko.price : 'none'}` +
        `${decision ? `; used: ${text(decision, 'price_source')}` : ''}${fresh}`,
    ],
  }
}

const tellInventory = (record: ChainRecord, quote: ChainRecord | undefined): Step => ({
  name: 'inventory',
  record,
  says: [
    `${text(record, 'inventory_id')} at block ${text(record, 'block_height')}: spendable ${balances(record.payload['spendable'], quote)}`,
  ],
})

/** By token id; in the asset's own unit where the quote's direction tells which asset a token is. */
const balances = (by: unknown, quote: ChainRecord | undefined): string => {
  const known = quote ? { [text(quote, 'asset_in')]: assets(quote).given, [text(quote, 'asset_out')]: assets(quote).wanted } : {}
  const entries = Object.entries((by ?? {}) as Record<string, string>)
  if (entries.length === 0) return 'nothing'
  return entries.map(([token, units]) => `${known[token] ? amount(units, known[token]) : `${units} units`} (${token})`).join(', ')
}

const tellDecision = (record: ChainRecord): Step => {
  const { inventory_snapshot: stock } = record.payload as {
    inventory_snapshot?: { inventory_id: string; reserved: unknown; spendable: unknown } | null
  }
  const reasons = Array.isArray(record.payload['reasons']) ? record.payload['reasons'].map(String) : []
  const threshold = typeof record.payload['threshold_bps'] === 'number' ? `${(record.payload['threshold_bps'] / 100).toFixed(2)} %` : '?'
  return {
    name: 'decision',
    record,
    says: [
      `${text(record, 'decision')}: ${text(record, 'decision_reason')}, ${text(record, 'decision_id')}`,
      `all reasons: ${reasons.length === 0 ? 'none against it' : reasons.join(', ')}`,
      ...(has(record, 'amount_in') && has(record, 'amount_out')
        ? [`offer: the taker gives ${swap(record)}`]
        : ['no offer could be worked out']),
      `implied rate ${text(record, 'implied_rate')}, reference ${text(record, 'reference_rate')} EURe per BTC (${text(record, 'price_source')})`,
      `gross edge ${text(record, 'gross_edge_pct')} %, threshold ${threshold}`,
      ...(stock
        ? [`inventory ${stock.inventory_id}: spendable ${balances(stock.spendable, record)}; reserved ${balances(stock.reserved, record)}`]
        : ['no inventory was known']),
    ],
  }
}

const tellCommand = (record: ChainRecord): Step => ({
  name: 'command',
  record,
  says: [
    `${text(record, 'command_id')}: offer ${swap(record)}`,
    `answer by ${text(record, 'answer_by')}, offer good until ${text(record, 'offer_deadline')}; ${text(record, 'reason')}`,
  ],
})

const tellResult = (record: ChainRecord): Step => {
  const facts = ['execution_id', 'quote_hash', 'tx_hash', 'settled_height', 'note'].filter((field) => has(record, field))
  return {
    name: 'result',
    record,
    says: [
      `${text(record, 'result_code')} (${text(record, 'status')})`,
      ...(facts.length === 0 ? [] : [facts.map((field) => `${field} ${text(record, field)}`).join(', ')]),
    ],
  }
}
