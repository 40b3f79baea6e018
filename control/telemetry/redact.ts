import { HIDDEN } from './secret.ts'

/**
 * What may be printed of a value. By name and by form, at every depth: pino's own `redact` covers exactly the depth that a
 * path names, and a child logger with a list of its own loses its parent's (pino 10.4.0, measured).
 *
 * P1. A field whose name says that it is secret is hidden whole, wherever it stands.
 * P2. A string is searched for what looks like a credential: user info in URLs, bearer tokens, JWTs, ed25519 keys and
 *     signatures, `password=…`, and secret fields of JSON inside the string.
 * P3. Bytes are never printed, only counted: they may be a key.
 * P4. Printing never throws and is bounded: a getter that throws, a cycle or a huge value costs a word, not the line.
 */
export const printable = (value: unknown): unknown => plain(value, 0, [])

/** A text without the credentials that can be told by their form (P2). */
export const printableText = (text: string): string => {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text
  return FORMS.reduce((rest, [form, shown]) => rest.replace(form, shown), cut)
}

/** Whether a field of this name is hidden whole (P1). `token_id` and `idempotency_key` are not secrets, `api_key` and `signature` are. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))

/** A connection string for people: `postgres://unrip:[secret]@host/db`. */
export const printableUrl = (url: string | URL): string => printableText(String(url))

const MAX_TEXT = 8_192
const MAX_DEPTH = 8
const MAX_ITEMS = 100

/** On names in lower case without punctuation; anchored at the end, so that `signing_key_file` and `token_id` pass. */
const SECRET_NAME =
  /(?:^seed|seedphrase|mnemonic|apikey|apisign|secret|secretkey|privatekey|signingkey|keypair|password|passwd|passphrase|token|jwt|authorization|credentials?|cookie|signatures?|signeddata|signedpayload|signedtransaction|signedtx)$/

const NAMES = String.raw`[\w-]{0,40}(?:api[-_]?key|api[-_]?sign|secret(?:[-_]key)?|private[-_]?key|signing[-_]key|password|passwd|passphrase|jwt|token|signature|signed[-_]data|mnemonic|seed[-_]phrase)`

/** Each form and what is left of it. Order matters: what holds a URL is looked at before what is in one. */
const FORMS: readonly (readonly [RegExp, string])[] = [
  // PostgreSQL keeps its user name: errors are about roles. The password ends at the last @ before a blank or a quote.
  [/\b(postgres(?:ql)?:\/\/[^\s:/@"'<>]*):[^\s"'<>]*@/gi, `$1:${HIDDEN}@`],
  [/\b((?!postgres)[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#"'<>]+@/gi, `$1${HIDDEN}@`],
  [/\b((?!postgres)[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@"'<>]*):(?!\d+(?:[/?#\s"'<>]|$))[^\s"'<>]*@/gi, `$1:${HIDDEN}@`],
  [/(\/v[1-9]\/)[A-Za-z0-9_-]{24,}/g, `$1${HIDDEN}`],
  [/\b(authorization["']?\s{0,4}[:=]\s{0,4}["']?)[^\s"',;]+(?: [^\s"',;]+)?/gi, `$1${HIDDEN}`],
  [/\bBearer\s+(?=\S*\d|\S{20})[\w.~+/=-]+/gi, `Bearer ${HIDDEN}`],
  [/\beyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?/g, HIDDEN],
  // 64 bytes in base58: a private key with its public half, or a signature. A public key has 43 or 44 characters.
  [/\bed25519:[1-9A-HJ-NP-Za-km-z]{60,}/g, `ed25519:${HIDDEN}`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
  [new RegExp(String.raw`(\\{0,8}["']${NAMES}\\{0,8}["']\s{0,4}:\s{0,4}\\{0,8}["'])[^"'\\]+`, 'gi'), `$1${HIDDEN}`],
  [new RegExp(String.raw`(\b${NAMES}=)[^\s&"',;]+`, 'gi'), `$1${HIDDEN}`],
]

const plain = (value: unknown, depth: number, above: readonly object[]): unknown => {
  switch (typeof value) {
    case 'string':
      return printableText(value)
    case 'bigint':
      return value.toString()
    case 'function':
    case 'symbol':
      return undefined
    case 'object':
      return value === null ? null : object(value, depth, above)
    default:
      return value
  }
}

const object = (value: object, depth: number, above: readonly object[]): unknown => {
  if (above.includes(value)) return '[circular]'
  if (depth >= MAX_DEPTH) return '[deep]'
  const path = [...above, value]
  const inner = (item: unknown): unknown => plain(item, depth + 1, path)
  try {
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
    if (value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
    if (value instanceof Error) return error(value, inner)
    if (Array.isArray(value)) return items(value, inner)
    if (value instanceof Set) return items([...value], inner)
    if (value instanceof Map)
      return fields(
        [...value].map(([key, item]) => [String(key), item]),
        inner,
      )
    if ('toJSON' in value && typeof value.toJSON === 'function') return inner(value.toJSON())
    return fields(Object.entries(value), inner)
  } catch {
    return '[unreadable]'
  }
}

const items = (list: readonly unknown[], inner: (item: unknown) => unknown): unknown[] => {
  const shown = list.slice(0, MAX_ITEMS).map((item) => inner(item) ?? null)
  return list.length > MAX_ITEMS ? [...shown, `… (${list.length} items)`] : shown
}

const fields = (entries: readonly (readonly [string, unknown])[], inner: (item: unknown) => unknown): Record<string, unknown> => {
  const shown = entries.slice(0, MAX_ITEMS).map(([name, item]) => [name, isSecretName(name) && item != null ? HIDDEN : inner(item)])
  return Object.fromEntries(entries.length > MAX_ITEMS ? [...shown, ['…', `${entries.length} fields`]] : shown)
}

/** Name, message, code and the facts that it carries as fields; then where it was thrown, and what caused it. */
const error = (thrown: Error, inner: (item: unknown) => unknown): Record<string, unknown> => {
  const facts = Object.entries(thrown).filter(([name]) => !['name', 'message', 'stack', 'cause', 'errors'].includes(name))
  return {
    type: thrown.name,
    message: inner(thrown.message),
    ...fields(facts, inner),
    ...(thrown.stack === undefined ? {} : { stack: inner(thrown.stack) }),
    ...(thrown.cause === undefined ? {} : { cause: inner(thrown.cause) }),
    ...(thrown instanceof AggregateError ? { errors: inner(thrown.errors) } : {}),
  }
}
