import { request } from 'node:http'
import { Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import type { HostView } from '#control/host-view.ts'
import { serveControl } from '#control/http/serve.ts'
import { makeLog } from '#control/telemetry/log.ts'
import { fakeHost } from './fake-host.ts'

const listening = async ({
  host = '127.0.0.1',
  port = 0,
  token,
  says,
}: { host?: string; port?: number; token?: string; says?: Partial<HostView> } = {}) => {
  const { view } = fakeHost(says)
  const log = makeLog({ service: view.service, level: 'silent' })
  const server = await serveControl({ view, host, port, metrics: new Registry(), log, ...(token === undefined ? {} : { token }) })
  onTestFinished(() => server.close())
  return server
}

test('it listens on a free port and says which', async () => {
  const { url } = await listening()
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ service: 'strategy-engine', alive: true })
})

test('over a real connection a foreign Host is refused and the right token is let in', async () => {
  const without = await listening()
  const { port } = new URL(without.url)
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  request({ host: '127.0.0.1', port, path: '/state', headers: { host: 'evil.example.org' } }, (answer) =>
    resolve(answer.resume().statusCode),
  ).end()
  expect(await promise).toBe(403)
  const withToken = await listening({ host: '0.0.0.0', token: 'correct-horse' })
  expect((await fetch(`${withToken.url}/state`)).status).toBe(401)
  expect((await fetch(`${withToken.url}/state`, { headers: { authorization: 'Bearer correct-horse' } })).status).toBe(200)
})

test('without a token anything but loopback is refused in one line that names the variable', async () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'strategy.example.org'])
    await expect(listening({ host })).rejects.toMatchObject({
      code: 'CONTROL_REFUSED',
      message: expect.stringMatching(/^CONTROL_HOST .* CONTROL_TOKEN [^\n]*$/),
    })
  await expect(listening({ token: ' ' })).rejects.toMatchObject({ message: expect.stringContaining('CONTROL_TOKEN is blank') })
})

test('a port that is taken is refused in one line that says what to set', async () => {
  const { url } = await listening()
  await expect(listening({ port: Number(new URL(url).port) })).rejects.toMatchObject({
    message: expect.stringMatching(/the port is taken; set CONTROL_PORT/),
  })
})

test('what is no HTTP gets the same shape of error', async () => {
  const { url } = await listening()
  const { promise, resolve } = Promise.withResolvers<string>()
  const { connect } = await import('node:net')
  const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write('NONSENSE\r\n\r\n'))
  socket.setEncoding('utf8').once('data', (text: string) => resolve(text))
  expect(await promise).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"BAD_REQUEST"/)
})

test('closing waits for the answer under way', async () => {
  const asked = Promise.withResolvers<void>()
  const released = Promise.withResolvers<string[]>()
  const server = await listening({
    says: {
      notReady: () => {
        asked.resolve()
        return released.promise
      },
    },
  })
  const answer = fetch(`${server.url}/readyz`)
  await asked.promise
  const closed = server.close()
  released.resolve(['closing'])
  expect((await answer).status).toBe(503)
  await closed
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow()
})
