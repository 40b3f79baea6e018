import { z } from 'zod'
import type { HostState, HostView, Order, OrderOutcome } from '#control/host-view.ts'

/** A host that says what a test wants and remembers what it was ordered. */
export const fakeHost = (
  says: Partial<HostView> = {},
  outcome: (order: Order) => OrderOutcome = () => ({ outcome: 'done', id: '7', answers: [] }),
) => {
  const orders: Order[] = []
  const drains: { by: string; reason: string }[] = []
  const state: Record<string, unknown> & HostState = {
    service: 'strategy-engine',
    release: 'r1',
    lifecycle: 'running',
    healthy: true,
    connected: true,
    authoritative: true,
    blocked: [],
    inputs: { price: { at: '2026-11-21T10:00:00.000Z', age_ms: 120, stale: false } },
    last_success: null,
    counters: { turns: 12 },
    lanes: [{ lane: 0, epoch: 3 }],
    strategy: { armed: false, threshold_bps: 200, seen: 9_007_199_254_740_993n },
  }
  const view: HostView = {
    service: 'strategy-engine',
    release: 'r1',
    describe: async () => state,
    notReady: async () => [],
    order: async (order) => {
      orders.push(order)
      const said = outcome(order)
      if (said.outcome === 'done') Object.assign(state, { strategy: { armed: order.order === 'arm', ...order.arguments } })
      return said
    },
    drain: async (by, reason) => {
      drains.push({ by, reason })
      Object.assign(state, { lifecycle: 'drained' })
    },
    orders: [
      { name: 'arm', method: 'POST', path: '/arm', summary: 'Allow side effects', schema: z.object({}) },
      {
        name: 'threshold',
        method: 'PUT',
        path: '/threshold',
        summary: 'The edge that an offer must leave',
        schema: z.object({ threshold_bps: z.int().positive() }),
      },
      {
        name: 'pair-filter',
        method: 'PUT',
        path: '/pair-filter',
        summary: 'What is let through',
        schema: z.strictObject({ pairs: z.array(z.string()) }),
      },
    ],
    machines: () => [{ kind: 'desk', version: 1, hash: 'abc', config: { id: 'desk' }, mermaid: 'stateDiagram-v2' }],
    actors: async () => ({
      actors: [{ kind: 'quote', key: 'q-1', state: 'ended', version: 1, sequence: 4, updated_at: '2026-11-21T10:00:00.000Z' }],
      next: null,
    }),
    actor: async (kind, key) => (kind === 'command' && key === 'near_intents:BTC/EURe' ? { kind, key, snapshot: {} } : null),
    past: async () => null,
    reading: async (path) => (path === '/pair-filter' ? { pairs: ['BTC/EURe'] } : null),
    ...says,
  }
  return { view, orders, drains, state }
}
