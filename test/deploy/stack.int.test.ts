import { Client } from 'pg'
import { expect, test } from 'vitest'
import { isOpen } from '#deploy/local/ports.ts'
import { ensureStack } from '#deploy/local/stack.ts'

test('an integration test is handed a broker and a database that answer', async () => {
  const { brokers, adminUrl } = await ensureStack()
  expect(await isOpen(Number(brokers.split(':')[1]))).toBe(true)
  const client = new Client({ connectionString: adminUrl })
  await client.connect()
  expect((await client.query('SELECT current_database() AS name')).rows).toEqual([{ name: 'unrip' }])
  await client.end()
})
