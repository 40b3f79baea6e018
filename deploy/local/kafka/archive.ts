/**
 * Makes the broker's class data archive: one start, a little traffic so that the classes of producing and reading are in it, one stop.
 * Called once by setup.cjs, with the file to write. It is made aside and renamed, so a broker never maps half of one.
 */
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PATIENT } from '#bus/client.ts'
import { startBroker } from '../broker.ts'
import { quietKafka } from '../kafka-client.ts'

const target = process.argv[2]
if (target === undefined) throw new Error('usage: archive.ts FILE')
const dataDir = mkdtempSync(join(tmpdir(), 'unrip-archive-'))
const aside = `${target}.${process.pid}`
try {
  const broker = await startBroker({ dataDir, log: () => undefined, jvmFlags: [`-XX:ArchiveClassesAtExit=${aside}`] })
  const kafka = quietKafka(broker.brokers, PATIENT)
  const admin = kafka.admin()
  const producer = kafka.producer()
  await Promise.all([admin.connect(), producer.connect()])
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic: 'warm', numPartitions: 1 }] })
  await producer.send({ topic: 'warm', messages: [{ key: 'k', value: 'v' }] })
  await admin.fetchTopicOffsets('warm')
  await Promise.all([admin.disconnect(), producer.disconnect()])
  await broker.stop()
  renameSync(aside, target)
} finally {
  rmSync(dataDir, { recursive: true, force: true })
  rmSync(aside, { force: true })
}
