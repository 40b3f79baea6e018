import { inspect } from 'node:util'
import { baseDecode, baseEncode, KeyPair, KeyPairSigner } from 'near-api-js'

/** What `quote_response` carries. The signature is a bearer instrument: whoever holds it can settle until its deadline. */
export type SignedData = {
  standard: 'nep413'
  payload: Unsigned
  public_key: string
  signature: string
}

/** `nonce` is base64 of 32 bytes. */
export type Unsigned = { message: string; nonce: string; recipient: string }

export interface Signer {
  /** `ed25519:` and base58 */
  readonly public_key: string
  /** Signs these bytes as they are. @throws {SignerError} BAD_NONCE */
  sign(accountId: string, unsigned: Unsigned): Promise<SignedData>
}

/** A key that cannot sign. Neither message nor cause ever holds key material. */
export class SignerError extends Error {
  override readonly name = 'SignerError'
  readonly code: 'KEY_MISSING' | 'KEY_INVALID' | 'BAD_NONCE'
  constructor(code: SignerError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/**
 * @param secret `ed25519:` and base58 of the 32-byte seed, or of seed and public key (64 bytes)
 * @throws {SignerError} KEY_MISSING when empty, KEY_INVALID when it is no such key or its two halves do not belong together
 */
export const loadSigner = (secret: string): Signer => {
  const text = secret.trim()
  if (text === '') throw new SignerError('KEY_MISSING', 'no signing key was given')
  if (!isEd25519(text)) throw new SignerError('KEY_INVALID', 'the signing key does not begin with ed25519:')
  const pair = keyPair(text)
  // near-api-js takes any second half: a mistyped key would sign under a public key that nobody registered.
  const half = baseDecode(text.slice(PREFIX.length)).subarray(32)
  if (half.length > 0 && `${PREFIX}${baseEncode(half)}` !== pair.getPublicKey().toString())
    throw new SignerError('KEY_INVALID', 'the two halves of the signing key do not belong together')
  return new NearSigner(pair)
}

const PREFIX = 'ed25519:'

const isEd25519 = (text: string): text is `ed25519:${string}` => text.startsWith(PREFIX)

const keyPair = (text: `ed25519:${string}`): KeyPair => {
  try {
    return KeyPair.fromString(text)
  } catch {
    // The library's message can quote what it was given, so it goes no further.
    throw new SignerError('KEY_INVALID', 'the signing key is not base58 of 32 or 64 bytes')
  }
}

/** The key sits in a private field, which neither JSON nor inspect nor a spread can see. */
class NearSigner implements Signer {
  readonly public_key: string
  readonly #signer: KeyPairSigner

  constructor(pair: KeyPair) {
    this.public_key = pair.getPublicKey().toString()
    this.#signer = new KeyPairSigner(pair)
  }

  async sign(accountId: string, unsigned: Unsigned): Promise<SignedData> {
    const { message, nonce, recipient } = unsigned
    const bytes = Buffer.from(nonce, 'base64')
    if (bytes.length !== 32 || bytes.toString('base64') !== nonce)
      throw new SignerError('BAD_NONCE', `nonce "${nonce}" is not base64 of 32 bytes`)
    const { signature } = await this.#signer.signNep413Message(accountId, { message, recipient, nonce: bytes })
    return {
      standard: 'nep413',
      payload: { message, nonce, recipient },
      public_key: this.public_key,
      signature: `${PREFIX}${baseEncode(signature)}`,
    }
  }

  toJSON(): { public_key: string } {
    return { public_key: this.public_key }
  }

  [inspect.custom](): string {
    return `Signer(${this.public_key})`
  }
}
