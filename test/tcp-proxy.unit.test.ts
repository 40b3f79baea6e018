import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tcpProxy } from './tcp-proxy.ts'
import type { TcpProxy } from './tcp-proxy.ts'

/** Says back what it hears, and keeps it. */
let server: Server
let heard = ''
let proxy: TcpProxy
let client: Socket
let answered = ''

beforeEach(async () => {
  ;[heard, answered] = ['', '']
  server = createServer((socket) => {
    socket.on('data', (bytes) => {
      heard += bytes.toString()
      socket.write(bytes)
    })
    socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await tcpProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  client = connect({ host: '127.0.0.1', port: proxy.port }).setNoDelay(true)
  client.on('data', (bytes) => (answered += bytes.toString()))
  client.on('error', () => undefined)
  await once(client, 'connect')
})
afterEach(async () => {
  client.destroy()
  await proxy.close()
  server.close()
})

const answeredWith = (text: string) => expect.poll(() => answered, { timeout: 2_000, interval: 5 }).toBe(text)

/** By a reset, which is an error as well. */
const cutOff = (): Promise<void> => new Promise((resolve) => client.once('close', () => resolve()))

test('what is held passes when it is released, in its order, on new connections too', async () => {
  client.write('a')
  await answeredWith('a')
  proxy.hold()
  client.write('b')
  const second = connect({ host: '127.0.0.1', port: proxy.port })
  await once(second, 'connect')
  second.write('c')
  await new Promise((resolve) => setTimeout(resolve, 50)) // that nothing comes shows only in time
  expect(heard).toBe('a')
  proxy.release()
  await answeredWith('ab')
  await expect.poll(() => heard.length, { timeout: 2_000 }).toBe(3)
  second.destroy()
})

test('a delay is there and back, and keeps the order when it ends', async () => {
  proxy.delayMs = 40
  const began = performance.now()
  client.write('a')
  await answeredWith('a')
  expect(performance.now() - began).toBeGreaterThanOrEqual(79)
  client.write('b')
  await expect.poll(() => heard, { timeout: 2_000, interval: 2 }).toBe('ab')
  proxy.delayMs = 0
  client.write('c')
  await answeredWith('abc')
})

test('the last bytes reach the server, and the client is cut off without an answer', async () => {
  proxy.toServer = () => 'last'
  client.write('a')
  await cutOff()
  await expect.poll(() => heard, { timeout: 2_000 }).toBe('a')
  expect(answered).toBe('')
})

test('cut bytes reach nobody', async () => {
  proxy.toServer = () => 'cut'
  client.write('a')
  await cutOff()
  expect([heard, answered]).toEqual(['', ''])
})
