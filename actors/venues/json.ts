/** The value of a JSON text; undefined, which JSON cannot say, when it is none. */
export const parseJson = (text: string): unknown => attempt(() => JSON.parse(text))

/**
 * The same without losing digits: every number comes back as the text that stood in the source (`45281.0` stays `"45281.0"`).
 * Kraken's prices, the bridge's 18-decimal amounts and Kraken's `connection_id` do not survive a float.
 */
export const parseExact = (text: string): unknown =>
  attempt(() => parseWithSource(text, (_key, value, { source }) => (typeof value === 'number' ? source : value)))

/** Plain decimal text of a JSON number's source (`1.2e-7` becomes `0.00000012`), digits kept as they are; null for anything else. */
export const plainDecimal = (source: unknown): string | null => {
  const match = typeof source === 'string' ? /^(-?)(\d{1,60})(?:\.(\d{1,60}))?(?:[eE]([+-]?\d{1,3}))?$/.exec(source) : null
  if (match === null) return null
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const shift = Number(exponent)
  if (shift === 0) return `${sign}${withoutLeadingZeros(whole)}${fraction && `.${fraction}`}`
  const digits = '0'.repeat(Math.max(0, -shift)) + whole + fraction + '0'.repeat(Math.max(0, shift - fraction.length))
  const point = Math.max(0, -shift) + whole.length + shift
  const tail = digits.slice(point)
  return `${sign}${withoutLeadingZeros(digits.slice(0, point))}${tail && `.${tail}`}`
}

const withoutLeadingZeros = (digits: string): string => digits.replace(/^0+(?=\d)/, '')

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown

// The third argument is ES2026 (Node 22 and newer have it); TypeScript's own declaration still knows two.
const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => unknown

const attempt = (parse: () => unknown): unknown => {
  try {
    return parse()
  } catch {
    return undefined
  }
}
