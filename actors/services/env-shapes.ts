import { z } from 'zod'

/** Shapes of environment variables that more than one service reads. Empty strings are refused everywhere. */
export const words = z.string().trim().min(1)

/** `a, b` becomes `['a', 'b']`; an empty place is refused. */
export const commaList = words
  .transform((text) => text.split(',').map((part) => part.trim()))
  .pipe(z.array(z.string().min(1, 'an empty place in the list')).min(1))

export const milliseconds = z.coerce.number().int().positive()

export const PairEnv = {
  PAIR_BTC_TOKEN_IDS: commaList
    .default(['nep141:btc.omft.near', 'nep141:nbtc.bridge.near'])
    .describe('comma list of every token id that is BTC'),
  PAIR_EURE_TOKEN_ID: words
    .default('nep141:gnosis-0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430.omft.near')
    .describe('the token id that is EURe'),
}
