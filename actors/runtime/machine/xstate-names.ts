import type { AnyStateMachine, AnyStateNode } from 'xstate'
import type { Declaration, EffectMode, Outgoing } from '#machines/contracts/actions.ts'
import type { Address } from '#machines/contracts/stamp.ts'
import type { TopicName } from '#machines/contracts/topics.ts'
import type { Asked } from './xstate-plans.ts'

// What a machine's names mean to the runtime: actions as outputs, and the events that it knows (X3).

/** What a machine asks for. */
export type Output =
  | { readonly does: 'effect'; readonly name: string; readonly mode: EffectMode; readonly params: unknown }
  /** from `invoke`; ends as `xstate.done.actor.<invoke> {output}` or `xstate.error.actor.<invoke> {error}` */
  | { readonly does: 'read'; readonly name: string; readonly invoke: string; readonly input: unknown }
  | { readonly does: 'stop read'; readonly invoke: string }
  | { readonly does: 'message'; readonly topic: TopicName; readonly params: Outgoing<unknown> }
  | { readonly does: 'tell'; readonly to: Address; readonly event: { readonly type: string } }
  /** replaces a timer of the same name */
  | { readonly does: 'set timer'; readonly timer: string; readonly delayMs: number; readonly event: { readonly type: string } }
  | { readonly does: 'cancel timer'; readonly timer: string }

/** A machine names something that nobody declared: the host must not run it. */
export class UnknownAction extends Error {
  readonly code = 'unknown_action'
}

/** The turn threw and is undone; `cause` is what was thrown. */
export class TurnFailed extends Error {
  readonly code = 'turn_failed'
}

export interface Collected extends Asked {
  readonly exec: { readonly unrip?: Declaration } | undefined
}

export const collect = (outputs: Output[], { type, params, exec }: Collected, machine: string): void => {
  const declared = exec?.unrip
  if (declared) {
    if (declared.does === 'effect') outputs.push({ does: 'effect', name: type, mode: declared.mode, params })
    else if (declared.does === 'message') outputs.push({ does: 'message', topic: declared.topic, params: params as Outgoing<unknown> })
    else outputs.push({ does: 'tell', ...(params as { to: Address; event: { type: string } }) })
    return
  }
  switch (type) {
    case 'xstate.raise': {
      const { event, id, delay } = params as { event: { type: string }; id: string | undefined; delay: number | undefined }
      if (typeof delay === 'number' && Number.isFinite(delay) && delay >= 0)
        outputs.push({ does: 'set timer', timer: id ?? event.type, delayMs: delay, event })
      // Without a delay it has already been taken in this turn. An `after` whose delay is no number would be taken at once.
      else if (delay !== undefined || id?.startsWith('xstate.after.')) throw new TurnFailed(`${machine}: no delay for ${id ?? event.type}`)
      return
    }
    case 'xstate.cancel':
      outputs.push({ does: 'cancel timer', timer: (params as { sendId: string }).sendId })
      return
    case 'xstate.spawnChild': {
      const { actorRef, src, input } = params as { actorRef: { id: string }; src: string; input: unknown }
      outputs.push({ does: 'read', name: src, invoke: actorRef.id, input })
      return
    }
    case 'xstate.stopChild':
      // Undefined: the read had ended and its child is gone.
      if (params) outputs.push({ does: 'stop read', invoke: (params as { id: string }).id })
      return
    default:
      throw new UnknownAction(`${machine}: action '${type}' is not declared`)
  }
}

const RUN = new Set(['xstate.assign', 'xstate.raise', 'xstate.cancel', 'xstate.enqueueActions'])

/** What can be seen before any turn; actions enqueued by name are seen in theirs. */
export const refuseUnknown = (machine: AnyStateMachine): void => {
  const { actions, guards, delays, actors } = machine.implementations as unknown as Record<string, Record<string, unknown>>
  const refused = new Set<string>()
  const check = (what: string, among: Record<string, unknown> | undefined, name: unknown): void => {
    if (typeof name === 'string' && !(among && Object.hasOwn(among, name))) refused.add(`${what} '${name}'`)
  }
  const checkAction = (action: unknown): void => {
    const name = nameOf(action)
    const found = (typeof action === 'function' ? action : actions?.[name]) as
      | { unrip?: Declaration; type?: string; resolve?: unknown }
      | undefined
    const known = found && (found.unrip || ('resolve' in found && RUN.has(String(found.type))))
    if (!known) refused.add(`action '${found && 'resolve' in found ? found.type : name}'`)
    check('delay', delays, (found as { delay?: unknown } | undefined)?.delay)
  }
  for (const node of nodesOf(machine)) {
    const transitions = [...[...node.transitions.values()].flat(), ...(node.always ?? [])] as unknown as {
      actions: unknown[]
      guard?: unknown
    }[]
    for (const transition of transitions) {
      transition.actions.forEach(checkAction)
      if (transition.guard !== undefined && typeof transition.guard !== 'function') check('guard', guards, nameOf(transition.guard))
    }
    for (const action of [...node.entry, ...node.exit] as unknown[]) checkAction(action)
    if (node.type === 'compound') (node.initial.actions as unknown[]).forEach(checkAction)
    for (const { src, onError } of node.invoke as { src: unknown; onError?: unknown }[]) {
      check('actor', actors, src)
      if (!onError) refused.add(`invoke '${String(src)}' without onError`)
    }
  }
  if (refused.size > 0) throw new UnknownAction(`${machine.id}: not declared: ${[...refused].join(', ')}`)
}

const nameOf = (reference: unknown): string =>
  typeof reference === 'string'
    ? reference
    : String((reference as { type?: unknown; name?: unknown }).type ?? (reference as { name?: unknown }).name)

export const declarations = (machine: AnyStateMachine): object =>
  Object.fromEntries(
    Object.entries(machine.implementations.actions as Record<string, { unrip?: Declaration }>).map(([name, { unrip }]) => [
      name,
      unrip ?? null,
    ]),
  )

export const nodesOf = (machine: AnyStateMachine): AnyStateNode[] => [
  ...(machine as unknown as { idMap: Map<string, AnyStateNode> }).idMap.values(),
]

/** XState keeps a memo for every event type that it ever sees, and obeys `xstate.stop` from anybody: both end here. */
export const vocabulary = (
  nodes: AnyStateNode[],
  invokes: Map<string, string>,
): { events: ReadonlySet<string>; knows: (type: string) => boolean } => {
  const written = new Set(nodes.flatMap((node) => [...node.transitions.keys()]))
  const events = new Set([...written].filter((type) => !type.startsWith('xstate.')))
  const exact = new Set([...events].filter((type) => !type.endsWith('*')))
  for (const type of written) if (type.startsWith('xstate.after.')) exact.add(type)
  for (const id of invokes.keys()) exact.add(`xstate.done.actor.${id}`).add(`xstate.error.actor.${id}`)
  // A delayed raise comes back as an ordinary event; its type is among the written ones or nobody takes it.
  const wildcards = [...events].filter((type) => type.endsWith('*')).map((type) => type.slice(0, -1))
  const covered = (type: string): boolean => wildcards.some((prefix) => type.startsWith(prefix) || `${type}.` === prefix)
  return { events, knows: (type) => exact.has(type) || (!type.startsWith('xstate.') && covered(type)) }
}
