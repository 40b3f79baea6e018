import { readFileSync } from 'node:fs'
import { loadSigner, SignerError } from '#actors/venues/near-intents/signer.ts'
import type { Signer } from '#actors/venues/near-intents/signer.ts'
import type { Verifier } from '#actors/venues/near-intents/verifier.ts'
import type { Means } from '#machines/command/assess.ts'
import { withSalts } from '#machines/command/salts.ts'
import type { SeenSalt } from '#machines/command/salts.ts'
import type { Env } from './config.ts'

type SigningEnv = Pick<Env, 'NEAR_INTENTS_ACCOUNT_ID' | 'NEAR_INTENTS_SIGNING_KEY' | 'NEAR_INTENTS_SIGNING_KEY_FILE'>

/** The account and its key, or the one reason why there are none; it names the variable and never the key. */
export type Signing =
  | { readonly account_id: string; readonly signer: Signer; readonly problem: null }
  | { readonly account_id: string; readonly signer: null; readonly problem: string }

export const loadSigning = (env: SigningEnv): Signing => {
  const account_id = env.NEAR_INTENTS_ACCOUNT_ID ?? ''
  const without = (problem: string): Signing => ({ account_id, signer: null, problem })
  if (account_id === '') return without('NEAR_INTENTS_ACCOUNT_ID is not set')
  const variable = env.NEAR_INTENTS_SIGNING_KEY === undefined ? 'NEAR_INTENTS_SIGNING_KEY_FILE' : 'NEAR_INTENTS_SIGNING_KEY'
  if (env[variable] === undefined) return without('NEAR_INTENTS_SIGNING_KEY is not set')
  try {
    const secret = env.NEAR_INTENTS_SIGNING_KEY ?? readFileSync(env.NEAR_INTENTS_SIGNING_KEY_FILE ?? '', 'utf8')
    return { account_id, signer: loadSigner(secret), problem: null }
  } catch (error) {
    // What node says of a file is its path and why; what the signer says never holds key material.
    const why = error instanceof SignerError || isFileError(error) ? error.message : 'it cannot be used'
    return without(`${variable}: ${why}`)
  }
}

const isFileError = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && 'syscall' in error

export interface AuthorityState {
  readonly signer: Means['signer']
  readonly salt: string | null
  /** why it is not ready; null when it is */
  readonly problem: string | null
  readonly checked_at_ms: number | null
}

/** Whether the key may sign for the account, and the salt of its nonces: asked of the verifier again and again. */
export interface Authority {
  state(): AuthorityState
  /** The last salts that this process has seen, the newest last. */
  salts(): readonly SeenSalt[]
  /** Asks now. Resolves when it has an answer or none came. */
  refresh(): Promise<void>
  start(): void
  stop(): void
}

const EVERY_MS = 60_000
const AFTER_FAILURE_MS = 2_000
/** A salt can be killed at once by the verifier's admins (2026-08); one not confirmed for this long is not signed with. */
const KEEP_MS = 600_000

export const authority = (options: {
  signing: Signing
  verifier: Verifier
  nowMs: () => number
  onFailure: (text: string) => void
  /** `salts()` has one more */
  onSalt: () => void
}): Authority => {
  const { signing, verifier, nowMs } = options
  let known: { salt: string; isRegistered: boolean; atMs: number } | null = null
  let salts: readonly SeenSalt[] = []
  let failure: string | null = null
  let timer: NodeJS.Timeout | null = null
  let asking: Promise<void> | null = null

  const ask = async (signer: Signer): Promise<void> => {
    try {
      const [salt, isRegistered] = await Promise.all([verifier.currentSalt(), verifier.hasPublicKey(signing.account_id, signer.public_key)])
      known = { salt, isRegistered, atMs: nowMs() }
      failure = null
      saw({ salt, first_seen_ms: known.atMs })
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
      options.onFailure(failure)
    }
  }
  const saw = (seen: SeenSalt): void => {
    const now = withSalts(salts, [seen])
    if (now === salts) return
    salts = now
    options.onSalt()
  }
  const refresh = (): Promise<void> => {
    if (signing.signer === null) return Promise.resolve()
    asking ??= ask(signing.signer).finally(() => (asking = null))
    return asking
  }
  const again = (): void => {
    void refresh().then(() => {
      if (timer !== null) timer = setTimeout(again, failure === null && known?.isRegistered ? EVERY_MS : AFTER_FAILURE_MS)
    })
  }

  return {
    refresh,
    salts: () => salts,
    state: () => {
      const base = { salt: null, checked_at_ms: known?.atMs ?? null }
      if (signing.signer === null) return { ...base, signer: 'missing', problem: signing.problem }
      if (known === null || nowMs() - known.atMs > KEEP_MS)
        return { ...base, signer: 'not_authorized', problem: failure ?? 'the verifier has not been asked yet' }
      if (!known.isRegistered)
        return { ...base, signer: 'not_authorized', problem: `${signing.signer.public_key} is not registered for ${signing.account_id}` }
      return { ...base, signer: 'ready', salt: known.salt, problem: null }
    },
    start: () => {
      timer = setTimeout(again, 0)
    },
    stop: () => {
      if (timer !== null) clearTimeout(timer)
      timer = null
    },
  }
}
