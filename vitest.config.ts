import { defineConfig } from 'vitest/config'

/** One project a suffix; the suffix says what a test needs: `unit` nothing, `int` PostgreSQL and Kafka, `sim` a seed, `e2e` a deployment. */
const project = (name: string, extra: Record<string, unknown> = {}) => ({
  test: { name, include: [`test/**/*.${name}.test.ts`], ...extra },
})

export default defineConfig({
  test: {
    projects: [
      project('unit'),
      project('sim', { testTimeout: 120_000 }),
      project('int', { testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false, globalSetup: 'test/global-setup.ts' }),
      project('e2e', { testTimeout: 300_000, hookTimeout: 120_000, fileParallelism: false, globalSetup: 'test/global-setup.ts' }),
    ],
  },
})
