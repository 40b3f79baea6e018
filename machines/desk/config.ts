/** What configures a desk. The environment gives the first values; an order replaces the first two until their own value there changes. */
export interface DeskConfig {
  /** gross edge that an offer must leave */
  readonly threshold_bps: number
  /** decimal EURe, per quote */
  readonly max_notional_eure: string
  /** a longer `min_deadline_ms` is skipped */
  readonly max_deadline_ms: number
  /** since Kraken last confirmed its price */
  readonly price_max_age_ms: number
  /** since Kraken's price last changed, however healthy the connection */
  readonly price_quiet_max_ms: number
  readonly inventory_max_age_ms: number
  /** both sources fresh and further apart than this: no decision */
  readonly price_conflict_bps: number
  readonly fallback_price: 'deny' | 'allow'
  /** since CoinGecko's own `last_updated_at` */
  readonly fallback_price_max_age_ms: number
  /** added to the threshold where CoinGecko alone is the reference */
  readonly fallback_extra_edge_bps: number
  /** no decision to trade while the history cannot be written */
  readonly strict_audit: boolean
  /** offers stay good for `min_deadline_ms` plus this */
  readonly offer_margin_ms: number
}

/** What orders have replaced. */
export type Ordered = Partial<Pick<DeskConfig, 'threshold_bps' | 'max_notional_eure'>>

/** What orders replaced stands until the environment's own value of that name changes. */
export const keptOrders = (ordered: Ordered, before: DeskConfig, after: DeskConfig): Ordered => ({
  ...(ordered.threshold_bps !== undefined && before.threshold_bps === after.threshold_bps ? { threshold_bps: ordered.threshold_bps } : {}),
  ...(ordered.max_notional_eure !== undefined && before.max_notional_eure === after.max_notional_eure
    ? { max_notional_eure: ordered.max_notional_eure }
    : {}),
})
