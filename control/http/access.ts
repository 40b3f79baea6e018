import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import type { onRequestHookHandler } from 'fastify'
import type { Secret } from '../telemetry/secret.ts'
import { Problem } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token. */
    open?: boolean
  }
}

/** The service must not start listening like this. The message says what to set. */
export class ControlRefused extends Error {
  override readonly name = 'ControlRefused'
  readonly code = 'CONTROL_REFUSED'
}

/**
 * Who may reach a control server.
 * A1. Without a token it listens on loopback only.
 * A2. Without a token it answers only to a loopback `Host`: a page that rebinds its own name to 127.0.0.1 sends its own name.
 * A3. With one, every route but those marked `open` asks for it, unknown routes too. Comparing takes the same time for every guess.
 * @throws {ControlRefused} A1
 */
export const assertMayListen = (host: string, token: Secret | undefined): void => {
  if (token === undefined && !isLoopback(host))
    throw new ControlRefused(
      `CONTROL_HOST ${host} is not a loopback address and CONTROL_TOKEN is unset: set the token, or bind to 127.0.0.1`,
    )
  if (token !== undefined && token.reveal().trim() === '') throw new ControlRefused('CONTROL_TOKEN is blank: set a token, or unset it')
}

export const access = (token: Secret | undefined): onRequestHookHandler => (token === undefined ? onlyLoopbackHosts : bearer(token))

const isLoopback = (host: string): boolean => {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'))
}

const onlyLoopbackHosts: onRequestHookHandler = async (request) => {
  const name = (request.headers.host ?? '').replace(/:\d+$/, '')
  if (!isLoopback(name))
    throw new Problem(
      403,
      'FOREIGN_HOST',
      'without CONTROL_TOKEN this service answers to localhost, 127.0.0.1 and [::1] only: the Host header names another',
    )
}

const bearer = (token: Secret): onRequestHookHandler => {
  const expected = digest(token.reveal())
  return async (request, reply) => {
    if (request.routeOptions.config.open === true) return
    const [, given] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return
    reply.header('www-authenticate', 'Bearer')
    if (given === undefined) throw new Problem(401, 'TOKEN_MISSING', 'the header "authorization: Bearer <CONTROL_TOKEN>" is missing')
    throw new Problem(401, 'TOKEN_WRONG', 'the bearer token is not the CONTROL_TOKEN of this service')
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
