import type { Clock } from '#actors/runtime/ports.ts'
import { memoryStore } from '#test/twins/store.ts'
import { storeContract } from './store.ts'

storeContract('the twin in memory', () => {
  let nowMs = Date.UTC(2026, 10, 21)
  const clock: Clock = { wallMs: () => nowMs, monotonicMs: () => nowMs, after: () => () => undefined }
  const store = memoryStore({ clock, lanes: 4 })
  return Promise.resolve({
    connect: () => store.connect(),
    pass: async (ms) => void (nowMs += ms),
    historyIds: async (topic) =>
      store
        .history()
        .filter((row) => row.topic === topic)
        .map(({ text }) => (JSON.parse(text) as { event_id: string }).event_id),
    close: async () => undefined,
  })
})
