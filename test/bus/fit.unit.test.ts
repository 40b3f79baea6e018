import { expectTypeOf, test } from 'vitest'
import type * as ports from '#actors/runtime/bus-port.ts'
import type { Log } from '#actors/runtime/ports.ts'
import type * as bus from '#bus/shapes.ts'

test('what the bus offers is what the runtime needs, without either importing the other', () => {
  expectTypeOf<bus.MessageBus>().toEqualTypeOf<ports.MessageBus>()
  expectTypeOf<bus.BusReader>().toEqualTypeOf<ports.BusReader>()
  expectTypeOf<bus.ReaderOptions>().toEqualTypeOf<ports.ReaderOptions>()
  expectTypeOf<bus.Log>().toEqualTypeOf<Log>()
})
