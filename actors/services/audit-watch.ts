import type { Tables } from '#actors/runtime/service.ts'

/** The writer's records carry its clock as their version and come once a second; older than this, it cannot be heard. */
const SILENT_MS = 10_000

/** Whether the history can be written, in every lane that tells of it; null: nobody has told yet. */
export const historyIsWritable = (tables: Tables, nowMs: number): boolean | null => {
  const rows = tables.rows('ops.audit_state')
  if (rows.length === 0) return null
  return rows.every(({ value }) => value.writable && nowMs - value.version <= SILENT_MS)
}
