import swagger from '@fastify/swagger'
import { fastify } from 'fastify'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Registry } from 'prom-client'
import type { HostView } from '../host-view.ts'
import type { Logger } from '../telemetry/log.ts'
import { Secret } from '../telemetry/secret.ts'
import { access, assertMayListen, ControlRefused } from './access.ts'
import { orderRoutes } from './order-routes.ts'
import { answerProblem, Problem, problemBody } from './problem.ts'
import { readRoutes } from './read-routes.ts'

export interface ControlOptions {
  readonly view: HostView
  readonly metrics: Registry
  readonly log: Logger
  /** asked of every route but /healthz and /readyz; without it only loopback is served */
  readonly token?: Secret | string
  /** ms that an order's answer waits for every lane */
  readonly orderWaitMs?: number
}

export interface ControlServer {
  /** `http://127.0.0.1:4105`, with the port that was really taken */
  readonly url: string
  /** Takes no new requests and resolves when those under way have been answered. */
  close(): Promise<void>
}

/**
 * The control API of one service, listening.
 * @param options.port 0 takes a free one
 * @throws {ControlRefused} not loopback and no token, or the address cannot be had; one line that says what to set
 */
export const serveControl = async (options: ControlOptions & { readonly host: string; readonly port: number }): Promise<ControlServer> => {
  const { host, port } = options
  assertMayListen(host, asSecret(options.token))
  const app = await controlApp(options)
  await app.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
    throw new ControlRefused(`CONTROL_HOST ${host}, CONTROL_PORT ${port}: ${whyNot(error)}`, { cause: error })
  })
  const address = app.server.address()
  const taken = typeof address === 'object' && address !== null ? address.port : port
  return { url: `http://${urlHost(host)}:${taken}`, close: async () => app.close() }
}

/** The same, not listening; for `app.inject`. */
export const controlApp = async ({ view, metrics, log, token, orderWaitMs = 5_000 }: ControlOptions): Promise<FastifyInstance> => {
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: 30_000,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 2_000 },
    frameworkErrors: answerProblem(log),
    clientErrorHandler: (_, socket) => {
      if (socket.writable)
        socket.end(`HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n${UNREADABLE}`)
    },
  })
  app.removeContentTypeParser('text/plain')
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => asJson)
  app.setReplySerializer(asJson)
  app.setErrorHandler(answerProblem(log))
  app.setNotFoundHandler(({ method, url }) => {
    throw new Problem(404, 'NOT_FOUND', `${view.service} has no route ${method} ${url.split('?')[0]}`)
  })
  app.addHook('onRequest', access(asSecret(token)))
  app.addHook('onSend', async (_, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })
  await app.register(swagger, { openapi: openapi(view, token !== undefined), transform: jsonSchemaTransform })
  const routes = app.withTypeProvider<ZodTypeProvider>()
  await routes.register(readRoutes(view, metrics))
  await routes.register(orderRoutes({ view, log, waitMs: orderWaitMs }))
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  await app.ready()
  return app
}

const MAX_BODY_BYTES = 64 * 1024
const UNREADABLE = JSON.stringify(problemBody(new Problem(400, 'BAD_REQUEST', 'the request cannot be read')))

const asJson = (answer: unknown): string =>
  JSON.stringify(answer, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))

const asSecret = (token: Secret | string | undefined): Secret | undefined => (typeof token === 'string' ? new Secret(token) : token)

const openapi = (view: HostView, needsToken: boolean) => ({
  openapi: '3.1.0',
  info: { title: `unrip ${view.service}`, description: 'Seeing and steering one service', version: view.release },
  ...(needsToken
    ? { security: [{ bearer: [] }], components: { securitySchemes: { bearer: { type: 'http' as const, scheme: 'bearer' } } } }
    : {}),
})

const whyNot = ({ code, message }: NodeJS.ErrnoException): string => {
  switch (code) {
    case 'EADDRINUSE':
      return 'the port is taken; set CONTROL_PORT (for npm start: CONTROL_BASE_PORT) to another, or to 0 for a free one'
    case 'EACCES':
      return 'not allowed to listen there; take a port above 1023'
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return 'this machine has no such address'
    default:
      return message
  }
}

/** An address to connect to: nobody connects to "every address". */
const urlHost = (host: string): string => {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
