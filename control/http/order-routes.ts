import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import { z } from 'zod'
import type { HostState, HostView, OrderRoute } from '../host-view.ts'
import type { Logger } from '../telemetry/log.ts'
import { invalid, Problem } from './problem.ts'
import { Anything, ErrorBody, orderBody, ownArguments, Pending, Signed, State } from './schemas.ts'
import type { SignedOrder } from './schemas.ts'

interface OrderDeps {
  readonly view: HostView
  readonly log: Logger
  /** how long an answer waits for every lane before it says 202 */
  readonly waitMs: number
}

const Nothing = z.strictObject({})
const COMMON: readonly OrderRoute[] = [
  { name: 'pause', method: 'POST', path: '/pause', summary: 'Take no new work; results, timers and orders go on', schema: Nothing },
  { name: 'resume', method: 'POST', path: '/resume', summary: 'Take new work again', schema: Nothing },
]
const DRAIN: OrderRoute = {
  name: 'drain',
  method: 'POST',
  path: '/drain',
  summary: 'Finish what is under way, give the lanes back and end',
  schema: Nothing,
}

/**
 * One route an order. Each validates, hands one order to the host, and answers with the state after it took effect: 200, or 202
 * with the order's id while a lane has not committed it, 409 where the state refuses it, 503 where it could not be written.
 */
export const orderRoutes =
  (deps: OrderDeps): FastifyPluginAsync =>
  async (app) => {
    for (const route of [...COMMON, ...deps.view.orders, DRAIN]) {
      app.route({
        method: route.method,
        url: route.path,
        schema: {
          summary: route.summary,
          tags: ['orders'],
          body: orderBody(route),
          response: {
            200: State,
            202: Pending,
            400: ErrorBody,
            401: ErrorBody,
            403: ErrorBody,
            409: ErrorBody,
            413: ErrorBody,
            415: ErrorBody,
            503: ErrorBody,
          },
        },
        validatorCompiler:
          ({ httpPart }) =>
          (data: unknown) =>
            httpPart === 'body' ? read(route, data) : { value: data },
        handler: async (request, reply) => {
          const order = request.body as SignedOrder
          return route === DRAIN ? drain(deps, order, reply) : give(deps, route, order, reply)
        },
      })
    }
    for (const { path, summary } of deps.view.orders.filter(({ method }) => method === 'PUT')) {
      app.get(
        path,
        { schema: { summary: `What was last set: ${summary}`, tags: ['orders'], response: { 200: Anything, 404: ErrorBody } } },
        async () => {
          const reading = await deps.view.reading(path)
          if (reading === null)
            throw new Problem(404, 'NOTHING_SET', `nothing can be read at ${path}: it has never been set, or it is in /state`)
          return { ...reading }
        },
      )
    }
  }

const give = async ({ view, log, waitMs }: OrderDeps, route: OrderRoute, signed: SignedOrder, reply: FastifyReply): Promise<object> => {
  const order = { order: route.name, ...signed }
  const said = await view.order(order, waitMs)
  const fields = { component: 'control', event: `order.${said.outcome}`, ...order, order_id: 'id' in said ? said.id : null }
  log.info(fields, `order ${route.name} by ${signed.by}: ${said.outcome}`)
  switch (said.outcome) {
    case 'done':
      reply.header('unrip-order-id', said.id)
      return { ...(await view.describe()), order: { id: said.id, answers: said.answers } }
    case 'pending':
      reply.code(202).header('unrip-order-id', said.id)
      return { id: said.id, message: `order ${said.id} is written; not every lane has committed it yet`, state: await lastState(view) }
    case 'refused':
      throw new Problem(409, said.code, said.message)
    case 'unavailable':
      throw new Problem(503, 'UNAVAILABLE', said.message)
    case 'draining':
      throw new Problem(503, 'DRAINING', `${view.service} is draining and takes no orders`)
  }
}

/** Ends the process's work. A drain that outlasts the wait goes on; so does one whose asker has hung up. */
const drain = async ({ view, log, waitMs }: OrderDeps, { by, reason }: SignedOrder, reply: FastifyReply): Promise<object> => {
  log.info({ component: 'control', event: 'order.drain', by, reason }, `drain by ${by}`)
  const patience = new AbortController()
  const drained = view.drain(by, reason).then(() => 'drained' as const)
  drained.catch((error: unknown) => log.error({ component: 'control', event: 'drain.failed', error }, 'the drain failed'))
  const end = await Promise.race([drained, wait(waitMs, 'waited' as const, { signal: patience.signal })]).finally(() => patience.abort())
  reply.header('connection', 'close')
  if (end === 'drained') return (await lastState(view)) ?? { service: view.service, release: view.release, lifecycle: 'drained' }
  reply.code(202)
  return { id: 'drain', message: `${view.service} is still draining`, state: await lastState(view) }
}

/** What is left of a host may not be able to tell its state any more. */
const lastState = async (view: HostView): Promise<HostState | null> => view.describe().catch(() => null)

/** An order's body, read exactly: who and why, then its own arguments and no field beside them. */
const read = (route: OrderRoute, data: unknown): { value: SignedOrder } | { error: Problem } => {
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    return { error: new Problem(400, 'INVALID', 'the body must be a JSON object with by and reason', 'by') }
  const odd = pathOfOdd(data)
  if (odd !== null)
    return { error: new Problem(400, 'INVALID', `${odd}: a text with \\u0000 or half a surrogate pair cannot be stored`, odd) }
  const { by, reason, ...rest } = data as Record<string, unknown>
  const signed = Signed.safeParse({ by, reason })
  if (!signed.success) return { error: problemOf(signed.error) }
  const own = ownArguments(route).safeParse(rest)
  return own.success ? { value: { ...signed.data, arguments: own.data } } : { error: problemOf(own.error) }
}

const problemOf = ({ issues: [first] }: z.ZodError): Problem =>
  first === undefined ? new Problem(400, 'INVALID', 'the body is not valid') : invalid(first)

const isOdd = (text: string): boolean => text.includes('\0') || !text.isWellFormed()

const pathOfOdd = (value: unknown, path = ''): string | null => {
  if (typeof value === 'string') return isOdd(value) ? path : null
  if (typeof value !== 'object' || value === null) return null
  for (const [name, item] of Object.entries(value)) {
    const below = path === '' ? name : `${path}.${name}`
    const found = isOdd(name) ? path || 'the body' : pathOfOdd(item, below)
    if (found !== null) return found
  }
  return null
}
