/**
 * DBOS: a workflow an actor, a step an event. The workflow holds the state and each step's outcome is checkpointed before the next begins;
 * events that came by send() and recv() would cost two more writes each, and a transaction of a data source as many.
 */
import { DBOS } from '@dbos-inc/dbos-sdk'
import { STEPS, turn } from './order.mjs'

const life = DBOS.registerWorkflow(
  async (order, events) => {
    let state = null
    for (const event of events) {
      const before = state
      state = await DBOS.runStep(async () => turn(before, order, event), { name: event.type })
    }
    return state
  },
  { name: 'order' },
)

const run = async ({ name, actors, inFlight }) => {
  let next = 0
  const worker = async () => {
    for (let n = next++; n < actors; n = next++) {
      const order = `${name}-${n}`
      const events = STEPS.map((type, step) => ({ type, amount: `${n}.${step}` }))
      const handle = await DBOS.startWorkflow(life, { workflowID: order })(order, events)
      const { value } = await handle.getResult()
      if (value !== STEPS.at(-1)) throw new Error(`${order} ended in ${value}`)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
}

const start = async ({ url, poolSize }) => {
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, systemDatabasePoolSize: poolSize, logLevel: 'error', runAdminServer: false })
  await DBOS.launch()
}

process.on('message', (command) => {
  const work = { start, run, stop: () => DBOS.shutdown() }[command.do]
  work(command).then(
    () => (command.do === 'stop' ? process.exit(0) : process.send('done')),
    (error) => {
      process.stderr.write(`${error.stack}\n`)
      process.exit(1)
    },
  )
})
