import { logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { logLines } from '#bus/log-lines.ts'

test('a line that repeats is printed once in five seconds, with how often; connection chatter is debug, and no stack is kept', () => {
  const lines: unknown[] = []
  let now = 0
  const keep =
    (level: string) =>
    (fields: object, text: string): void =>
      void lines.push([level, text, fields])
  const log = logLines({ debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }, () => now)(logLevel.WARN)
  const say = (namespace: string, message: string): void =>
    log({
      namespace,
      level: logLevel.ERROR,
      label: 'ERROR',
      log: { message, timestamp: 'now', logger: 'kafkajs', stack: 'long', topic: 't' },
    })
  say('Consumer', 'gone')
  say('Consumer', 'gone')
  say('Consumer', 'gone')
  say('Connection', 'gone')
  now = 5_000
  say('Consumer', 'gone')
  expect(lines).toEqual([
    ['warn', 'gone', { event: 'kafka.client', ns: 'kafkajs Consumer', topic: 't' }],
    ['debug', 'gone', { event: 'kafka.client', ns: 'kafkajs Connection', topic: 't' }],
    ['warn', 'gone', { event: 'kafka.client', ns: 'kafkajs Consumer', topic: 't', suppressed: 2 }],
  ])
})
