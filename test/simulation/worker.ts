/** A process of `crew.ts`: runs the worlds that it is sent, one at a time, and answers with what became of each. */
import type { Job } from './work.ts'
import { work } from './work.ts'

// Whoever started it decides when it ends: on Ctrl-C it would otherwise be gone before what was done is told.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
process.on('message', (job: Job) => {
  work(job).then(
    (done) => process.send?.({ done }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
