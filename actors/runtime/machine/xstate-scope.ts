import type { AnyStateMachine } from 'xstate'
import type { Collected } from './xstate-names.ts'

/** What XState calls an actor scope: here one that only collects, for every turn of a machine (X2). */
export type Scope = Readonly<Record<string, unknown>>

/** A logic that holds its input and does nothing: no promise, callback or child machine can ever run in a turn. */
const stub = {
  transition: (snapshot: unknown) => snapshot,
  getInitialSnapshot: (_: unknown, input: unknown) => ({ status: 'active', output: undefined, error: undefined, input }),
  getPersistedSnapshot: (snapshot: unknown) => snapshot,
  restoreSnapshot: (snapshot: unknown) => snapshot,
}

export const stubs = (machine: AnyStateMachine): Record<string, typeof stub> =>
  Object.fromEntries(Object.keys(machine.implementations.actors as object).map((name) => [name, stub]))

const nothing = (): void => {}

/** What XState 5.33 reads of an actor scope: underscored names are its own and pinned by test. */
export const createScope = (actionExecutor: (action: Collected) => void): Scope => {
  const system = {
    _bookId: () => 'turn',
    _register: (sessionId: string) => sessionId,
    _unregister: nothing,
    _set: nothing,
    _relay: nothing,
    _sendInspectionEvent: nothing,
    _logger: nothing,
    _clock: { setTimeout: nothing, clearTimeout: nothing },
    get: () => undefined,
    getAll: () => ({}),
    scheduler: { schedule: nothing, cancel: nothing, cancelAll: nothing },
  }
  const self = { id: 'turn', sessionId: 'turn', system, send: nothing, getSnapshot: () => undefined, _parent: undefined }
  return { self, id: 'turn', sessionId: 'turn', logger: nothing, defer: nothing, emit: nothing, stopChild: nothing, system, actionExecutor }
}
