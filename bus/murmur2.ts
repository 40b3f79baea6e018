/** Where a lane key belongs. The same function decides locality inside the runtime and the partition on the wire, so no client's partitioner is asked. */

/** The partition, and so the lane, of a lane key: Kafka's own rule for keyed records. `lanes` above zero. */
export const partitionOf = (laneKey: string, lanes: number): number => (murmur2(new TextEncoder().encode(laneKey)) & 0x7fffffff) % lanes

const SEED = 0x9747b28c
const MIX = 0x5bd1e995

/**
 * 32 bits, signed.
 * @see org.apache.kafka.common.utils.Utils.murmur2, Kafka 4.1
 */
export const murmur2 = (bytes: Uint8Array): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole = bytes.length - (bytes.length % 4)
  let hash = SEED ^ bytes.length
  for (let at = 0; at < whole; at += 4) {
    let word = Math.imul(view.getInt32(at, true), MIX)
    word = Math.imul(word ^ (word >>> 24), MIX)
    hash = Math.imul(hash, MIX) ^ word
  }
  if (whole < bytes.length) {
    for (let at = whole; at < bytes.length; at += 1) hash ^= view.getUint8(at) << (8 * (at - whole))
    hash = Math.imul(hash, MIX)
  }
  hash = Math.imul(hash ^ (hash >>> 13), MIX)
  return hash ^ (hash >>> 15)
}
