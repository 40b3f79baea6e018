/** The ids that more than one service derives. Deterministic: the same quote gives the same ids everywhere (R144 to R146). */

export const NEAR_INTENTS = 'near_intents'
export const PAIR = 'BTC/EURe'

export const commandId = (quoteId: string): string => `cmd-${quoteId}`
export const decisionId = (quoteId: string): string => `dec-${quoteId}`
export const idempotencyKey = (venue: string, quoteId: string): string => `${venue}:${quoteId}`
export const executionKey = (venue: string, assetIn: string, assetOut: string): string => `${venue}:${assetIn}->${assetOut}`

/** One inventory, one lane: by asset and not by token id, so that all four sides and both BTC ids share it. */
export const laneKey = (venue: string, pair: string): string => `${venue}:${pair}`
