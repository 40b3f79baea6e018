import { z } from 'zod'
import type { ActorKind, OrderKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { armMachine } from '#machines/arm/machine.ts'
import type { ArmContext } from '#machines/arm/machine.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import type { SectionView } from './run-service.ts'

/** What a service that can be armed is made of: the kind, its orders and the gate. One arm actor a lane. */
const ARM: Address = { kind: 'arm', key: 'arm' }

/** @param tells who hears of each change within the lane */
export const armKind = (tells: Address): ActorKind => ({ machine: armMachine, version: 1, input: () => ({ tells }) })

export const armGate: NonNullable<ServiceDefinition['gate']> = { kind: ARM.kind }

const named = z.string().trim().min(1).optional()

export const armOrders: Readonly<Record<'arm' | 'disarm', OrderKind>> = {
  arm: {
    schema: z.strictObject({
      release: named.describe('what the order is for; absent: the release that took the order'),
      incarnation: named.describe("the lane's incarnation that it is for; absent: any"),
    }),
    to: ARM,
    type: 'order.arm',
    route: { method: 'POST', path: '/arm' },
    expiresInMs: 10_000,
    expects: 'armed',
    namesRelease: true,
    summary: 'Allow side effects, for the release that runs',
  },
  disarm: {
    schema: z.strictObject({}),
    to: ARM,
    type: 'order.disarm',
    route: { method: 'POST', path: '/disarm' },
    shutsGate: true,
    expects: 'disarmed',
    summary: 'Refuse side effects; stay live and observable',
  },
}

/** Armed where every held lane is; since when it is as it is, by the latest change. */
export const armState = (view: Pick<SectionView, 'actor'>): { armed: boolean; by: string; reason: string; sinceMs: number } => {
  const arms = view.actor(ARM.kind, ARM.key)
  const latest = arms.map(({ context }) => context as ArmContext).toSorted((a, b) => b.since_ms - a.since_ms)[0]
  return {
    armed: arms.length > 0 && arms.every(({ state }) => state === 'armed'),
    by: latest?.by ?? 'start',
    reason: latest?.reason ?? 'no lane is held',
    sinceMs: latest?.since_ms ?? 0,
  }
}
