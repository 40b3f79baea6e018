import { memoryBus } from '#test/twins/bus.ts'
import { busContract } from './bus.ts'

busContract({
  name: 'the twin in memory',
  open: () => {
    const bus = memoryBus({ partitions: 3 })
    return Promise.resolve({ connect: () => bus.connect(), close: () => Promise.resolve() })
  },
})
