/** What the runtime puts on every event before a machine sees it. A turn knows nothing else of the world. */
export interface Stamp {
  /** The owner's clock in ms since 1970, never below the lane's last. */
  readonly now: number
  /** Unique and reproducible: `incarnation:turn`. Whatever a turn makes up (ids, salts, jitter) derives from it. */
  readonly id: string
  /** The record that led here, however many turns and effects ago; null for what no record caused. */
  readonly cause: Cause | null
  /** The record is older than the lane's name: storage may have forgotten that it was taken, and what came of it. Absent: it has not. */
  readonly maybe_taken_before?: true
}

export interface Cause {
  readonly event_id: string
  readonly correlation_id: string | null
}

/** The address of an actor within its lane. */
export interface Address {
  readonly kind: string
  readonly key: string
}

/** A value of a followed topic as it stood when the event was gathered, and where it came from. */
export interface Followed<T> {
  readonly value: T
  readonly event_id: string
  readonly topic: string
  readonly partition: number
  readonly offset: string
}
