import { sha256 } from './crypto.ts'

const CHARSET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'

/** A deposit address that any validator takes, always the same for an account and a chain; nobody holds its key. */
export const depositAddress = (account: string, chain: string): string => {
  const digest = sha256(Buffer.from(`${chain} ${account}`))
  return chain === 'btc:mainnet' ? segwitAddress('bc', digest.subarray(0, 20)) : `0x${digest.subarray(0, 20).toString('hex')}`
}

/** BIP-173, witness version 0. */
const segwitAddress = (prefix: string, program: Buffer): string => {
  const data = [0, ...toFiveBits(program)]
  const expanded = [...[...prefix].map((letter) => letter.charCodeAt(0) >> 5), 0, ...[...prefix].map((letter) => letter.charCodeAt(0) & 31)]
  const checksum = polymod([...expanded, ...data, 0, 0, 0, 0, 0, 0]) ^ 1
  const tail = Array.from({ length: 6 }, (_, index) => (checksum >> (5 * (5 - index))) & 31)
  return `${prefix}1${[...data, ...tail].map((five) => CHARSET[five]).join('')}`
}

const toFiveBits = (bytes: Buffer): number[] => {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map((five) => Number.parseInt(five.padEnd(5, '0'), 2))
}

const polymod = (values: readonly number[]): number =>
  values.reduce((checksum, value) => {
    const top = checksum >>> 25
    const next = ((checksum & 0x1ffffff) << 5) ^ value
    return [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].reduce(
      (sum, generator, bit) => ((top >> bit) & 1 ? sum ^ generator : sum),
      next,
    )
  }, 1)
