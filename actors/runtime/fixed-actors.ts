import type { Address } from '#machines/contracts/stamp.ts'
import type { PlainEvent } from './lane/mailbox.ts'
import type { ServiceDefinition } from './service.ts'

/** What a lane hears first from each new owner. */
export const firstEvents = (
  { gate, configure, learnt }: ServiceDefinition,
  running: { release: string; incarnation: string },
  disagreement: string | null,
): { to: Address; event: PlainEvent }[] => {
  const arm = gate ? [{ kind: gate.kind, key: 'arm' }] : []
  return [
    ...arm.map((to) => ({ to, event: { type: 'released', ...running } })),
    // An arm that came back with the store is nobody's any more.
    ...(disagreement === null
      ? []
      : arm.map((to) => ({ to, event: { type: 'order.disarm', by: 'fence', reason: disagreement, order_id: '' } }))),
    ...configure.map(({ to, type, values }) => ({ to, event: { ...values, type } })),
    ...(learnt?.() ?? []),
  ]
}

/** The actors that every lane of a service has, and that `/state` shows. */
export const watchedOf = ({ configure, orders, gate, watch }: ServiceDefinition): Address[] => {
  const all = [
    ...configure.map(({ to }) => to),
    ...Object.values(orders).map(({ to }) => to),
    ...(gate ? [{ kind: gate.kind, key: 'arm' }] : []),
    ...(watch ?? []),
  ]
  return [...new Map(all.map((address) => [`${address.kind}/${address.key}`, address])).values()]
}
