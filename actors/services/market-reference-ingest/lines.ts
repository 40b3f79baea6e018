import type { Log } from '#actors/runtime/ports.ts'
import type { RecordLines } from '../record-lines.ts'

/** A line when decisions begin to lean on another source, and when the sources begin or cease to contradict each other. */
export const priceLines = (log: Log): RecordLines => {
  let before: { source: string | null; conflict: boolean } | null = null
  return {
    'ref.market_price': ({ payload: { pair, fair, ...price }, event_id, correlation_id }) => {
      const now = { source: fair?.source ?? null, conflict: price['conflict'] === true }
      const fields = { component: 'price', topic: 'ref.market_price', venue: now.source, pair, price_event_id: event_id, correlation_id }
      if (before && now.source !== before.source) {
        if (now.source === 'kraken') log.info({ event: 'price.primary', ...fields }, 'Kraken is the reference again')
        else if (now.source === 'coingecko') log.warn({ event: 'price.fallback', ...fields }, 'Kraken is not healthy: CoinGecko stands in')
        else log.warn({ event: 'price.none', ...fields }, 'no source has a healthy price')
      }
      if (before && now.conflict !== before.conflict) {
        const divergence_bps = price['divergence_bps']
        if (now.conflict) log.warn({ event: 'price.conflict', divergence_bps, ...fields }, 'the sources contradict each other')
        else log.info({ event: 'price.agreement', divergence_bps, ...fields }, 'the sources agree again')
      }
      before = now
    },
  }
}
