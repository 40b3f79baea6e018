/** The pair's token ids and the accounts that every simulator knows. */
export const BTC_OMFT = 'nep141:btc.omft.near'
export const BTC_NBTC = 'nep141:nbtc.bridge.near'
export const EURE = 'nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near'
export const USDC = 'nep141:17208628f84f5d6ad33f0da3bbbeb27ffcb398eac501a31bd6ad2011e36133a1'
export const WNEAR = 'nep141:wrap.near'

export const BTC_IDS: readonly string[] = [BTC_OMFT, BTC_NBTC]
export const isBtc = (tokenId: string): boolean => BTC_IDS.includes(tokenId)
/** Is it a swap between some BTC and EURe, either way? */
export const isPair = (tokenIn: string, tokenOut: string): boolean =>
  (isBtc(tokenIn) && tokenOut === EURE) || (tokenIn === EURE && isBtc(tokenOut))

export const CONTRACT = 'intents.near'
export const FEE_COLLECTOR = '7066024d3f20f94de601c003163367873cca78507eeca4df66d9be645f197f05'
export const SOLVER = 'solver.example.near'
/** Trades with everybody and can pay. */
export const TAKER = 'taker.example.near'
/** Accepts and then cannot pay. */
export const PAUPER = 'pauper.example.near'

/** Published with the test vectors: seed 01 02 … 20. Worth nothing anywhere. */
export const SOLVER_SEED = Buffer.from('0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20', 'hex')
export const TAKER_SEED = Buffer.alloc(32, 0x71)
export const PAUPER_SEED = Buffer.alloc(32, 0x72)
export const FIRST_SALT = '252812b3'
export const PARTNER_JWT = 'eyJhbGciOiJub25lIn0.eyJwYXJ0bmVyX2lkIjoidW5yaXAtbG9jYWwifQ.c2ltdWxhdGVk'
