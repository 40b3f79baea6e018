/** Restate: a virtual object an actor, a call an event; once by hand, once by its xstate package. Serves both to a Restate server. */
import * as restate from '@restatedev/restate-sdk'
import { xstate } from '@restatedev/xstate'
import { orderMachine, turn } from './order.mjs'

const plain = restate.object({
  name: 'plain',
  handlers: {
    event: async (ctx, event) => {
      const state = turn(await ctx.get('state'), ctx.key, event)
      ctx.set('state', state)
      return state.value
    },
  },
})

process.on('message', async ({ port }) => {
  const quiet = () => undefined
  await restate.serve({ port, services: [plain, xstate('machine', orderMachine('machine'))], logger: quiet })
  process.send('done')
})
