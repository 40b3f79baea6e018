import { setTimeout as after } from 'node:timers/promises'
import { historyTables } from '#storage/history/rows.ts'
import { laneStore } from '#storage/lane-store.ts'
import { freshDatabase } from '#test/storage/database.ts'
import { HEIR_LEASE_MS } from './store-given.ts'
import { storeContract } from './store.ts'

storeContract('PostgreSQL', async () => {
  const database = await freshDatabase()
  await database.admin((client) => client.query(`SELECT pg_sleep_until(pg_postmaster_start_time() + interval '${HEIR_LEASE_MS} ms')`))
  return {
    connect: (service) =>
      laneStore({
        connectionString: database.roleUrls[service] ?? '',
        applicationName: `test ${service}`,
        log: { info: () => undefined, warn: () => undefined },
      }),
    // A lease is on PostgreSQL's clock: nothing but time ends it.
    pass: (ms) => after(ms),
    historyIds: (topic) =>
      database.admin(async (client) => {
        const { table } = historyTables[topic as keyof typeof historyTables]
        const { rows } = await client.query<{ event_id: string }>(`SELECT event_id FROM ${table}`)
        return rows.map((row) => row.event_id)
      }),
    close: () => database.drop(),
  }
})
