/*
 * The verifier's fee arithmetic on bigint. A pip is 1e-6.
 * Source: near/intents, contracts/defuse/core/src/intents/token_diff.rs and crates/primitives/fees.
 */
const ONE = 1_000_000n

const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b

/** What the collector takes of a delta: only of what is given away, rounded up. NFTs and single units of nep245 and imt are free. */
export const feeOf = (tokenId: string, delta: bigint, pips: bigint): bigint => {
  if (delta >= 0n || tokenId.startsWith('nep171:')) return 0n
  if (!tokenId.startsWith('nep141:') && -delta <= 1n) return 0n
  return ceilDiv(-delta * pips, ONE)
}

/** What a delta leaves for others: all of what is given less the fee; a taking delta is itself. */
export const supplyDelta = (delta: bigint, pips: bigint): bigint => (delta >= 0n ? delta : -((-delta * (ONE - pips)) / ONE))

/** The delta that a counterparty must sign so that the two net to zero. */
export const closureDelta = (delta: bigint, pips: bigint): bigint => {
  const open = -supplyDelta(delta, pips)
  return open >= 0n ? open : -ceilDiv(-open * ONE, ONE - pips)
}
