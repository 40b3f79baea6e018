import type { Past } from './host-view.ts'

/** An actor's past as it is answered, or why there is none: as HTTP says it, in one sentence with the ids in it. */
export const pastAnswer = ({ found, ...where }: Past): { answer: object } | { status: number; code: string; message: string } => {
  const who = `${where.service} ${where.kind}/${where.key}`
  switch (found.outcome) {
    case 'at':
      return { answer: { ...where, ...found.actor } }
    case 'diff': {
      const { outcome: _, ...diff } = found
      return { answer: { ...where, ...diff } }
    }
    case 'not yet':
      return { status: 404, code: 'NO_SUCH_TURN', message: `${who} has had ${found.sequence} turns` }
    case 'not kept': {
      const kept = found.from === null ? 'nothing of it is' : `its history goes back to turn ${found.from}`
      return { status: 410, code: 'NOT_KEPT', message: `${who}: that turn is no longer kept; ${kept}` }
    }
    case 'not loadable':
      return { status: 409, code: 'NOT_LOADABLE', message: `${who}: this code cannot play turn ${found.sequence}: ${found.why}` }
  }
}
