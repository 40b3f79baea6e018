import type { OrderRow } from './rows.ts'
import type { ControlSession, Sessions, Statement } from './session.ts'

interface NewOrder {
  readonly by: string
  readonly reason: string
  readonly body: OrderRow['body']
  readonly expiresInMs: number | null
  readonly lane?: number
}

/**
 * Writes an order and one open row for every lane of the service, or for one lane.
 * @throws {StoreError} broken_contract: the service has no such lane
 */
export const insertOrder = async (sessions: Sessions, service: string, order: NewOrder): Promise<{ id: number }> => {
  const values = [service, order.by, order.reason, JSON.stringify(order.body), order.expiresInMs, order.lane ?? null]
  const [row] = await sessions.query<{ id: number }>(INSERT, values, `${service}: order ${order.body.order}`)
  if (!row) throw new Error('insert_order answered nothing')
  return row
}

/** What a lane has not committed yet, oldest first; expired ones too: it is the lane that says so. */
export const openOrders = async (sessions: Sessions, service: string, lane: number): Promise<OrderRow[]> => {
  const rows = await sessions.query<Omit<OrderRow, 'lane'>>(OPEN, [service, lane], `lane ${service}/${lane}: orders`)
  return rows.map((row) => ({ ...row, lane }))
}

export const orderAnswers = (sessions: Sessions, service: string, id: number): Promise<{ lane: number; answer: object | null }[]> =>
  sessions.query(ANSWERS, [service, id], `${service}: order ${id}`)

/** Calls back when an order was inserted or committed, and after a lost connection is back. */
export const onOrder = (control: ControlSession, service: string, callback: () => void): Promise<() => Promise<void>> =>
  control.listen(`unrip_order_${service.replaceAll('-', '_')}`, callback)

const INSERT: Statement = { name: 'insert_order', text: 'SELECT unrip.insert_order($1, $2, $3, $4, $5, $6) AS id' }
const OPEN: Statement = {
  name: 'open_orders',
  text: 'SELECT id, at_ms AS "atMs", expires_at_ms AS "expiresAtMs", "by", reason, body FROM unrip.open_orders($1, $2)',
}
const ANSWERS: Statement = { name: 'order_answers', text: 'SELECT lane, answer FROM unrip.order_answers($1, $2)' }
