import type { Clock } from '#actors/runtime/ports.ts'
import type { ConnectionState } from '#actors/venues/socket.ts'

interface ReporterOptions {
  /** False: no lane is held, so nobody heard it. */
  readonly tell: (state: ConnectionState) => boolean
  readonly clock: Pick<Clock, 'after'>
}

const AGAIN_MS = 500

/** Tells what became of a connection until somebody has heard it: at the start, and after a lost lane, nobody listens for a while. */
export class ConnectionReporter {
  readonly #options: ReporterOptions
  #untold: ConnectionState | null = null
  #cancel: (() => void) | null = null
  #closed = false

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  report(state: ConnectionState): void {
    // Our own goodbye is no news: the successor starts with `starting`.
    if (this.#closed) return
    this.#untold = state
    this.#try()
  }

  close(): void {
    this.#closed = true
    this.#untold = null
    this.#cancel?.()
  }

  #try(): void {
    this.#cancel?.()
    this.#cancel = null
    if (!this.#untold) return
    if (this.#options.tell(this.#untold)) this.#untold = null
    else this.#cancel = this.#options.clock.after(AGAIN_MS, () => this.#try())
  }
}

/** What a feed's actor hears: a refused credential blocks, anything else is only away. */
export const connectionEvent = ({ connected, reason }: ConnectionState): { type: string; reason?: string } => {
  if (connected) return { type: 'connection.up' }
  return { type: reason === 'unauthorized' ? 'connection.blocked' : 'connection.down', reason: reason ?? 'not connected' }
}
