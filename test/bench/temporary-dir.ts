import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const temporaryDir = (name: string): { path: string; remove(): void } => {
  const path = mkdtempSync(join(tmpdir(), `unrip-bench-${name}-`))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}
