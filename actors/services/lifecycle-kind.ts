import type { ActorKind, ServiceDefinition } from '#actors/runtime/service.ts'
import { lifecycleMachine } from '#machines/lifecycle/machine.ts'

const LIFECYCLE: ActorKind = { machine: lifecycleMachine, version: 1, input: () => ({ of: 'lane' }) }

/** A service as it runs: with a life cycle in each lane, its own or the common one. */
export const withLifecycle = (definition: ServiceDefinition): ServiceDefinition => ({
  ...definition,
  kinds: { lifecycle: LIFECYCLE, ...definition.kinds },
})
