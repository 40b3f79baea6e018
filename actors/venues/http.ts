/** One HTTP request to a venue, as a value: nothing here throws, retries or remembers. */
export type HttpAnswer =
  | { kind: 'answer'; status: number; headers: Headers; text: string }
  | { kind: 'unreachable'; reason: 'timeout' | 'aborted' | 'network'; cause: unknown }

export type HttpOptions = {
  timeoutMs: number
  signal?: AbortSignal | undefined
  fetch?: typeof fetch | undefined
}

/**
 * Sends and reads the whole body as text. The timeout covers both: a node that sends headers and then stalls is a timeout.
 * Redirects are not followed, so that an API key in a header goes to nobody else.
 */
export const httpRequest = async (url: string, init: RequestInit, options: HttpOptions): Promise<HttpAnswer> => {
  const timeout = AbortSignal.timeout(options.timeoutMs)
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout])
  try {
    const response = await (options.fetch ?? fetch)(url, { redirect: 'manual', ...init, signal })
    return { kind: 'answer', status: response.status, headers: response.headers, text: await response.text() }
  } catch (cause) {
    return { kind: 'unreachable', reason: options.signal?.aborted ? 'aborted' : timeout.aborted ? 'timeout' : 'network', cause }
  }
}

export const postJson = (url: string, body: unknown, options: HttpOptions): Promise<HttpAnswer> =>
  httpRequest(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }, options)

/** Scheme and host only: paths and queries of providers carry API keys. */
export const originOf = (url: string): string => new URL(url).origin
