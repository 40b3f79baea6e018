import type { HostState } from '../host-view.ts'
import { CliFailure } from './failure.ts'

/** The control API of one service, seen from outside. */
export interface Client {
  readonly service: string
  readonly url: string
  /** @throws {CliFailure} nobody answers, the token is refused, or the answer is an error */
  get(path: string): Promise<Answer>
  order(path: string, body: { by: string; reason: string } & Readonly<Record<string, unknown>>): Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Longer than a service waits for its lanes before it answers 202. */
const PATIENCE_MS = 15_000

export const makeClient = (fetch: Fetch, service: string, url: string, token: string | undefined): Client => {
  const who = service === url ? url : `${service} at ${url}`
  const ask = async (path: string, init: RequestInit): Promise<Answer> => {
    const headers = {
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    }
    const answer = await fetch(`${url}${path}`, { ...init, headers, redirect: 'error', signal: AbortSignal.timeout(PATIENCE_MS) }).catch(
      (error: unknown) => {
        throw unreachable(who, error)
      },
    )
    const body = await readBody(answer, who)
    if (answer.ok || answer.status === 404 || (path === '/readyz' && answer.status === 503)) return { status: answer.status, body }
    throw refused(service, answer.status, body, token)
  }
  return {
    service,
    url,
    get: (path) => ask(path, { method: 'GET' }),
    order: (path, body) => ask(path, { method: 'POST', body: JSON.stringify(body) }),
  }
}

/** The state in a body. @throws {CliFailure} it is no state */
export const stateIn = (body: unknown, service: string): HostState => {
  if (!isState(body)) throw new CliFailure('NO_STATE', `${service} answered something that is no state of a service`)
  return body
}

const isState = (body: unknown): body is HostState =>
  typeof body === 'object' && body !== null && ['service', 'lifecycle', 'blocked', 'lanes'].every((name) => name in body)

const readBody = async (answer: Response, who: string): Promise<Readonly<Record<string, unknown>>> => {
  const text = await answer.text()
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>
  } catch {
    // falls through: not JSON is not a control API
  }
  throw new CliFailure('NO_CONTROL_API', `${who}: the answer (${answer.status}) is not that of a control API`)
}

const refused = (service: string, status: number, body: Readonly<Record<string, unknown>>, token: string | undefined): CliFailure => {
  const error = body['error'] as { code?: unknown; message?: unknown } | undefined
  const said = typeof error?.message === 'string' ? error.message : `answered ${status}`
  if (status === 401)
    return new CliFailure(
      'UNAUTHORIZED',
      `${service}: ${token ? 'CONTROL_TOKEN is not the one that it was started with' : 'set CONTROL_TOKEN'}`,
    )
  return new CliFailure(typeof error?.code === 'string' ? error.code : `HTTP_${status}`, `${service}: ${said}`)
}

/** A process that is gone, or one that does not answer: not the same to somebody who waits for its end. */
const unreachable = (who: string, error: unknown): CliFailure => {
  if (error instanceof Error && error.name === 'TimeoutError')
    return new CliFailure('TIMEOUT', `${who}: no answer within ${PATIENCE_MS / 1_000} s`, { cause: error })
  const cause = error instanceof Error ? error.cause : undefined
  const why = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return new CliFailure('UNREACHABLE', `${who}: nobody answers${why}`, { cause: error })
}
