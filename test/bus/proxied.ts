import { connect } from 'node:net'
import { kafkaBus } from '#bus/kafka.ts'
import type { MessageBus } from '#actors/runtime/bus-port.ts'
import { tcpProxy } from '#test/tcp-proxy.ts'
import type { TcpProxy } from '#test/tcp-proxy.ts'
import { silent } from './silent.ts'

/** Kafka's api key of a produce request, @see https://kafka.apache.org/protocol#protocol_api_keys */
export const PRODUCE = 0

const addressOf = (brokers: string): { host: string; port: number } => {
  const [host = '', port = ''] = brokers.split(':')
  return { host, port: Number(port) }
}

/** A bus whose every connection goes through a proxy. By its sockets: what brokers advertise is their own address. */
export const proxiedBus = async (
  brokers: string,
  log: Parameters<typeof kafkaBus>[0]['log'] = silent,
): Promise<{ bus: MessageBus; proxy: TcpProxy; close(): Promise<void> }> => {
  const proxy = await tcpProxy(addressOf(brokers))
  const bus = kafkaBus({
    brokers,
    clientId: 'test-proxied',
    log,
    socketFactory: ({ onConnect }) => connect({ host: '127.0.0.1', port: proxy.port }, onConnect).setKeepAlive(true),
  })
  return {
    bus,
    proxy,
    close: async () => {
      await bus.close()
      await proxy.close()
    },
  }
}

/** The next `times` requests of this kind reach the broker and are carried out; the connection is cut when it answers. Tells how often it was. */
export const loseAnswers = (proxy: TcpProxy, apiKey: number, times: number): { lost: number } => {
  const waiting = new Set<number>()
  const count = { lost: 0 }
  proxy.toServer = ({ connection, bytes }) => {
    if (bytes.length > 8 && bytes.readInt16BE(4) === apiKey) waiting.add(connection)
    return 'pass'
  }
  proxy.toClient = ({ connection }) => {
    if (!waiting.delete(connection) || count.lost >= times) return 'pass'
    count.lost += 1
    return 'cut'
  }
  return count
}
