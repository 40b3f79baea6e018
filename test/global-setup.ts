/** One broker and one PostgreSQL for the whole vitest run; tests find them with ensureStack() of #deploy/local/stack.ts. */
import type { TestProject } from 'vitest/node'
import { startStack } from '#deploy/local/stack.ts'

export default async (project: TestProject): Promise<() => Promise<void>> => {
  const stack = await startStack()
  project.provide('stack', { brokers: stack.brokers, adminUrl: stack.adminUrl })
  return () => stack.stop()
}
