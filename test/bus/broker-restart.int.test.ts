import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { MessageBus } from '#actors/runtime/bus-port.ts'
import { kafkaBus } from '#bus/kafka.ts'
import { startBroker } from '#deploy/local/broker.ts'
import type { Broker } from '#deploy/local/broker.ts'
import { Heard, out } from '#test/contracts/bus.ts'
import { silent } from './silent.ts'
import { makeTopics } from './topics.ts'

/** Its own broker: this one is killed. */
let dataDir: string
let broker: Broker
let bus: MessageBus
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'unrip-restart-'))
  broker = await startBroker({ dataDir, log: () => undefined })
  bus = kafkaBus({ brokers: broker.brokers, clientId: 'test', log: silent })
})
afterEach(async () => {
  await bus.close()
  await broker.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'a broker that ends by %s and comes back: everything sent arrives in order, nothing of a lane not held',
  async (signal) => {
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    const topic = `restart-${randomUUID()}`
    await makeTopics(broker.brokers, [topic], 3)
    const heard = new Heard()
    const reader = await bus.reader({ service: randomUUID(), inputs: [topic], tables: [], tableBackMs: 0, ...heard.callbacks })
    reader.take(0, { [topic]: 0 })
    reader.take(1, { [topic]: 0 })

    let stop = false
    let sent = 0
    const sending = (async () => {
      for (; !stop; sent += 1) await bus.send([0, 1, 2].flatMap((partition) => out(topic, partition, String(sent))))
    })()
    await heard.until(() => heard.records.length > 200)
    if (signal === 'SIGKILL') await broker.kill('SIGKILL')
    const before = sent
    await broker.restart()
    await expect.poll(() => sent, { timeout: 20_000 }).toBeGreaterThan(before + 100)
    stop = true
    await sending

    const last = String(sent - 1)
    for (const lane of [0, 1]) {
      await heard.until(() =>
        heard.records.some(({ partition, value }) => partition === lane && Buffer.from(value ?? []).toString() === last),
      )
      const records = heard.records.filter(({ partition }) => partition === lane)
      expect(records.every(({ offset }, index) => offset === index)).toBe(true)
      const marks: number[] = []
      for (const { value } of records) {
        const position = Number(Buffer.from(value ?? []).toString())
        if (position > (marks.at(-1) ?? -1)) marks.push(position)
      }
      expect(marks).toEqual(Array.from({ length: sent }, (_, position) => position))
    }
    expect(heard.records.filter(({ partition }) => partition === 2)).toEqual([])
    expect([heard.gaps, heard.failures]).toEqual([[], []])
    process.off('warning', note)
    expect(warnings.map(({ name }) => name).filter((name) => name !== 'TimeoutNegativeWarning')).toEqual([])
  },
)
