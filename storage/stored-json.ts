/** What the stored bytes of a snapshot, an event or an effect say: their JSON, or where they are not JSON their base64. */
export const readJson = (bytes: Uint8Array | null): unknown => {
  if (bytes === null) return null
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') }
  }
}

/** A snapshot as the runtime writes it: machine version, structure hash, sequence, state value, context. */
export interface StoredSnapshot {
  readonly v: number
  readonly h: string
  readonly s: number
  readonly value: unknown
  readonly c: unknown
}

/** @returns null for bytes that are no snapshot */
export const readSnapshot = (bytes: Uint8Array): StoredSnapshot | null => {
  const read = readJson(bytes)
  return typeof read === 'object' && read !== null && 'v' in read && 'value' in read ? (read as StoredSnapshot) : null
}

/** A state's value as one text: `armed`, or JSON where it is nested. */
export const stateOf = (snapshot: StoredSnapshot | null): string => {
  if (snapshot === null) return 'unreadable'
  return typeof snapshot.value === 'string' ? snapshot.value : JSON.stringify(snapshot.value)
}

export const isoOf = (ms: number): string => new Date(ms).toISOString()
