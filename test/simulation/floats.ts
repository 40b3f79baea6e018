/** A number with a point or an exponent, as JSON writes it between two of its signs; a time in a text is never followed by one. */
const LOOKS_LIKE_ONE = /[:[,]-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)(?=[,}\]])/

/** The first float in a JSON text (I8); null: it has none. Texts are looked through as they are, and parsed only where one could be. */
export const floatIn = (json: string): string | null => {
  if (!LOOKS_LIKE_ONE.test(json)) return null
  let found: string | null = null
  JSON.parse(json, (key, value: unknown) => {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) found = `${key}: ${value}`
    return value
  })
  return found
}
