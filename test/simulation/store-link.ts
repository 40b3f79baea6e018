import type { LaneStore } from '#actors/runtime/store-port.ts'
import { StoreError } from '#storage/errors.ts'
import type { SimProcess } from './process.ts'
import type { Random } from './random.ts'
import type { VirtualTime } from './virtual-time.ts'

/** How the way to the database is; the world changes it. */
export interface Weather {
  /** no statement is taken */
  databaseDown: boolean
  /** how often, per call, the connection breaks */
  breaks: number
}

type Call = Exclude<keyof LaneStore, 'close' | 'onOrder'>

/** When a store link has executed something at the database. */
export type Executed = (call: Call, args: readonly unknown[], answer: unknown) => void

/**
 * A process's way to the database: a request travels, is executed at once, and its answer travels back. Between the two
 * the process can die, and the connection break, before or after the database has done it.
 */
export const storeLink = (
  store: LaneStore,
  process: SimProcess,
  { time, random, weather, executed }: { time: VirtualTime; random: Random; weather: Weather; executed: Executed },
): LaneStore => {
  const hop = (): number => (random.chance(0.02) ? random.between(20, 400) : 0.1 + random.next() * 2)

  const call =
    <A extends unknown[], R>(name: Call, run: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      new Promise<R>((resolve, reject) => {
        const answer = (say: () => void): void => {
          time.after(hop(), `${process.name} ${name} answered`, () => process.enter(name, say))
        }
        const broken = (code: 'unknown' | 'unavailable'): void => answer(() => reject(new StoreError(code, `${name}: ${code}`)))
        time.after(hop(), `${process.name} ${name}`, () => {
          // What a dead process had sent may still be in a socket, or not.
          if (process.dead && random.chance(0.5)) return
          if (weather.databaseDown) return broken(random.chance(0.7) ? 'unavailable' : 'unknown')
          const breaks = random.chance(weather.breaks)
          if (breaks && random.chance(0.5)) return broken('unknown')
          run(...args).then(
            (value) => {
              executed(name, args, value)
              if (breaks) broken('unknown')
              else answer(() => resolve(value))
            },
            (error: unknown) => answer(() => reject(error)),
          )
        })
      })

  return {
    register: call('register', store.register),
    renew: call('renew', store.renew),
    deregister: call('deregister', store.deregister),
    take: call('take', store.take),
    recover: call('recover', store.recover),
    release: call('release', store.release),
    load: call('load', store.load),
    timers: call('timers', store.timers),
    timersOf: call('timersOf', store.timersOf),
    letters: call('letters', store.letters),
    commit: call('commit', store.commit),
    orders: call('orders', store.orders),
    insertOrder: call('insertOrder', store.insertOrder),
    orderAnswers: call('orderAnswers', store.orderAnswers),
    reincarnate: call('reincarnate', store.reincarnate),
    lanes: call('lanes', store.lanes),
    sweep: call('sweep', store.sweep),
    sweepMarks: call('sweepMarks', store.sweepMarks),
    onOrder: (service, callback) =>
      store.onOrder(service, () => {
        if (random.chance(0.2) || weather.databaseDown) return
        time.after(hop(), `${process.name} notified`, () => process.enter('notified', callback))
      }),
    close: () => store.close(),
  }
}
