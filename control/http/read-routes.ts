import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { Registry } from 'prom-client'
import type { HostView, Past } from '../host-view.ts'
import { pastAnswer } from '../past.ts'
import { stateMetrics } from '../telemetry/state-metrics.ts'
import { Problem } from './problem.ts'
import {
  ActorParams,
  ActorQuery,
  Actors,
  ActorsQuery,
  Anything,
  ErrorBody,
  Health,
  KindParams,
  Machine,
  Machines,
  Readiness,
  State,
  Text,
} from './schemas.ts'

/** What can be seen of a host. Nothing here changes anything, and `/healthz` asks nobody: a venue's outage must kill no process. */
export const readRoutes =
  (view: HostView, metrics: Registry): FastifyPluginAsyncZod =>
  async (app) => {
    const open = { open: true }
    const refresh = stateMetrics(metrics)
    const tags = ['state']

    app.get('/healthz', { config: open, schema: { tags, summary: 'Alive', response: { 200: Health } } }, async () => ({
      service: view.service,
      alive: true as const,
    }))

    app.get(
      '/readyz',
      { config: open, schema: { tags, summary: 'Ready, or why not', response: { 200: Readiness, 503: Readiness } } },
      async (_, reply) => {
        const reasons = await view.notReady().catch(() => ['the host cannot tell; its log says why'])
        reply.code(reasons.length === 0 ? 200 : 503)
        return { service: view.service, ready: reasons.length === 0, reasons: [...reasons] }
      },
    )

    app.get('/state', { schema: { tags, summary: 'All that it says of itself', response: { 200: State } } }, async () => view.describe())

    app.get('/metrics', { schema: { tags, summary: 'For Prometheus', response: { 200: Text } } }, async (_, reply) => {
      // A host that cannot tell its state is the one whose other metrics are needed.
      const seen = await Promise.all([view.describe(), view.notReady()]).catch(() => null)
      if (seen !== null) refresh(seen[0], seen[1].length === 0)
      return reply.header('content-type', metrics.contentType).send(await metrics.metrics())
    })

    app.get('/machines', { schema: { tags, summary: 'The machines it hosts', response: { 200: Machines } } }, async () => ({
      machines: view.machines().map(({ kind, version, hash }) => ({ kind, version, hash })),
    }))

    app.get(
      '/machines/:kind',
      {
        schema: {
          tags,
          summary: 'One machine, as Stately and Mermaid show it',
          params: KindParams,
          response: { 200: Machine, 404: ErrorBody },
        },
      },
      async ({ params: { kind } }) => {
        const found = view.machines().find((machine) => machine.kind === kind)
        if (found === undefined) throw new Problem(404, 'NO_SUCH_MACHINE', `${view.service} hosts no machine ${kind}`, 'kind')
        return { ...found, config: { ...found.config } }
      },
    )

    app.get(
      '/actors',
      { schema: { tags, summary: 'Its actors, a page at a time', querystring: ActorsQuery, response: { 200: Actors, 400: ErrorBody } } },
      async ({ query: { kind, state, limit, after } }) => {
        const page = await view.actors({
          limit,
          ...(kind === undefined ? {} : { kind }),
          ...(state === undefined ? {} : { state }),
          ...(after === undefined ? {} : { after }),
        })
        if (page === null) throw new Problem(400, 'INVALID', 'after: is not the `next` of an earlier page', 'after')
        return page
      },
    )

    app.get(
      '/actors/:kind/:key',
      {
        schema: {
          tags,
          summary: 'One actor: snapshot, timers, effects, journal; or as it was after one of its turns, or between two',
          params: ActorParams,
          querystring: ActorQuery,
          response: { 200: Anything, 400: ErrorBody, 404: ErrorBody, 409: ErrorBody, 410: ErrorBody },
        },
      },
      async ({ params: { kind, key }, query: { at, diff } }) => {
        const wish = at !== undefined ? { at } : diff !== undefined ? { from: diff[0], to: diff[1] } : null
        const found = wish === null ? await view.actor(kind, key) : await view.past(kind, key, wish)
        if (found === null) throw new Problem(404, 'NO_SUCH_ACTOR', `${view.service} has no actor ${kind}/${key}`, 'key')
        if (wish === null) return { ...found }
        const past = pastAnswer(found as Past)
        if (!('answer' in past)) throw new Problem(past.status, past.code, past.message, at === undefined ? 'diff' : 'at')
        return { ...past.answer }
      },
    )
  }
