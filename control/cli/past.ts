import type { Past } from '../host-view.ts'

interface Then {
  readonly sequence: number
  readonly state: unknown
  readonly context: unknown
  readonly turn: Turn | null
}

interface Turn {
  readonly sequence: number
  readonly turn: number
  readonly batch: number
  readonly at: string
  readonly event: { readonly type?: string } | null
  readonly outputs: readonly { readonly does: string }[]
  readonly code: 'same' | 'other'
  readonly difference: { readonly what: string; readonly recorded: string; readonly computed: string } | null
}

/** An actor as it was, for reading: what it came to, by which turn; or what changed between two turns, and by which. */
export const tellPast = ({ found, service, lane, kind, key }: Past): string => {
  const who = `${kind}/${key} of ${service}, lane ${lane}`
  if (found.outcome === 'at') {
    const then = found.actor as Then
    const turn = then.turn
    return [
      `${who}, after turn ${then.sequence}`,
      ...(then.state === null ? ['it was not yet'] : [`state    ${inline(then.state)}`]),
      ...(turn
        ? [
            `when     ${turn.at}, turn ${turn.turn} of the lane, batch ${turn.batch}${remark(turn)}`,
            `event    ${inline(turn.event)}`,
            ...turn.outputs.map((output) => `asked    ${inline(output)}`),
          ]
        : []),
      ...(then.state === null ? [] : [`context  ${JSON.stringify(then.context, null, 2).replaceAll('\n', '\n         ')}`]),
    ].join('\n')
  }
  if (found.outcome !== 'diff') return who
  const [from, to] = [found.from as Then, found.to as Then]
  const changes = found.changes as readonly { path: string; before?: unknown; after?: unknown }[]
  const turns = found.turns as readonly Turn[]
  return [
    `${who}, between turn ${from.sequence} and turn ${to.sequence}`,
    ...(changes.length === 0 ? ['nothing changed'] : changes.map(changed)),
    ...turns.map(
      (turn) =>
        `${String(turn.sequence).padStart(5)}  ${turn.at}  ${turn.event?.type ?? '?'}${turn.outputs.length === 0 ? '' : `: ${turn.outputs.map(shortly).join(', ')}`}${remark(turn)}`,
    ),
  ].join('\n')
}

const changed = (change: { path: string; before?: unknown; after?: unknown }): string => {
  if (!('before' in change)) return `+ ${change.path}  ${inline(change.after)}`
  if (!('after' in change)) return `- ${change.path}  ${inline(change.before)}`
  return `  ${change.path}  ${inline(change.before)} -> ${inline(change.after)}`
}

const inline = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** `message exec.trade_result`, `effect sendOffer`, `set timer xstate.after...` */
const shortly = (output: { readonly does: string } & Readonly<Record<string, unknown>>): string => {
  const name = output['topic'] ?? output['name'] ?? output['timer'] ?? output['invoke'] ?? ''
  const to = output['to'] as { kind: string; key: string } | undefined
  return `${output.does} ${to ? `${to.kind}/${to.key}` : String(name)}`
}

const remark = ({ code, difference }: Turn): string =>
  `${code === 'same' ? '' : ', computed by other code'}${difference ? `, recorded otherwise: ${difference.what} ${difference.recorded}, here ${difference.computed}` : ''}`
