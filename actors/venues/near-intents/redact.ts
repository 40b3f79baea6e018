/**
 * Text from or to the relay without what is worth money: a signature is a bearer instrument, a JWT a key. Any unbroken run of
 * 64 characters goes (base58 and base64 signatures have 86 to 88, hashes and keys at most 44, our longest token id 66 with its
 * prefix but 59 between its colons), and whatever `signature` names. Cut to 2,000 characters after that.
 */
export const redact = (text: string): string =>
  text
    .replace(/(\\*["']?signature\\*["']?\s*[:=]\s*\\*["']?)[^"'\\,}\s]+/gi, '$1[redacted]')
    .replace(/[A-Za-z0-9+/=_.-]{64,}/g, '[redacted]')
    .slice(0, 2_000)
