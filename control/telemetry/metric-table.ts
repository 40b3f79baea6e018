/**
 * Every metric of the project, in one table: the meter, its documentation and the dashboards come from here.
 * Names follow Prometheus: prefix, base units, `_total` on counters. Labels are bounded sets, never ids, amounts or error texts;
 * a label whose values are known has a series for each from the start, so that `rate()` sees its first event.
 * A bucket stands on each goal (`le` of a missing boundary answers nothing).
 */
export const COUNTERS = {
  unrip_turns_total: { help: 'Turns by how they ended', labels: { outcome: ['taken', 'ignored', 'parked', 'queued', 'dropped'] } },
  unrip_batches_total: { help: 'Batches by how their commit ended', labels: { result: ['committed', 'repeated', 'refused'] } },
  unrip_epochs_lost_total: { help: 'Lanes dropped because somebody else owned a newer epoch', labels: {} },
  unrip_gate_refused_total: { help: 'Sends that the gate refused, and why', labels: { reason: ['lease', 'disarmed', 'too late'] } },
} as const satisfies Record<string, MetricRow>

export const HISTOGRAMS = {
  unrip_batch_turns: { help: 'Turns a batch', labels: {}, buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] },
  unrip_commit_duration_seconds: {
    help: 'One commit, from sending to the answer',
    labels: {},
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1],
  },
  unrip_publish_duration_seconds: {
    help: 'One send to Kafka until every partition has answered',
    labels: {},
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 5],
  },
  unrip_effect_duration_seconds: {
    help: 'One run of an effect handler',
    labels: { effect: null },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  unrip_timer_late_seconds: {
    help: 'How late timers became events',
    labels: {},
    buckets: [0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 30],
  },
  unrip_lane_start_duration_seconds: {
    help: 'From a lane taken to its first turn: what was stored is read and what was open is taken up',
    labels: {},
    buckets: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10],
  },
} as const satisfies Record<string, MetricRow & { readonly buckets: readonly number[] }>

/** Read off `/state` at each scrape, so that both say the same; see `state-metrics.ts`. */
export const FROM_STATE = {
  unrip_ready: { help: '1 while the service is ready', labels: {}, type: 'gauge' },
  unrip_connected: { help: '1 while it is connected to what it needs', labels: {}, type: 'gauge' },
  unrip_armed: { help: '1 where side effects are allowed; absent where nothing is armed', labels: {}, type: 'gauge' },
  unrip_blocked: { help: '1 while the service is blocked for the reason', labels: { code: null }, type: 'gauge' },
  unrip_input_age_seconds: { help: 'Time since an input was last confirmed', labels: { input: null }, type: 'gauge' },
  unrip_lanes_owned: { help: 'Lanes that this process owns', labels: {}, type: 'gauge' },
  unrip_lanes_halted: { help: 'Owned lanes with a halted input', labels: {}, type: 'gauge' },
  unrip_lag_records: {
    help: 'Records between the next offset to take and the end of the partition',
    labels: { topic: null, lane: null },
    type: 'gauge',
  },
  unrip_marks: { help: 'Marks kept: one a source and incarnation that an input has heard', labels: { topic: null }, type: 'gauge' },
  unrip_mark_age_seconds: {
    help: 'Time since a mark of the input last moved in any owned lane; absent until one has',
    labels: { topic: null },
    type: 'gauge',
  },
  unrip_mailbox_events: { help: 'Events that wait for their turn', labels: {}, type: 'gauge' },
  unrip_timers: { help: 'Timers in memory; those further away are rows', labels: {}, type: 'gauge' },
  unrip_effects: { help: 'Open effects by state', labels: { state: ['pending', 'uncertain'] }, type: 'gauge' },
  unrip_effect_age_seconds: {
    help: 'Time since the oldest open effect came into its state; 0 where none is',
    labels: { state: ['pending', 'uncertain'] },
    type: 'gauge',
  },
  unrip_parked: { help: 'Actors that wait behind a parked event, and records that nobody could read', labels: {}, type: 'gauge' },
  unrip_parked_events: {
    help: 'Dead letters by state: held for a person, or waiting',
    labels: { state: ['held', 'waiting'] },
    type: 'gauge',
  },
  unrip_outbox_bytes: { help: 'Committed and not yet acknowledged by Kafka', labels: {}, type: 'gauge' },
  unrip_cache_bytes: { help: 'Size of the cache of snapshots', labels: {}, type: 'gauge' },
  unrip_cache_hits_total: { help: 'Turns whose actor was in memory, of the lanes held now', labels: {}, type: 'counter' },
  unrip_cache_misses_total: { help: 'Turns that had to ask the store for their actor, of the lanes held now', labels: {}, type: 'counter' },
  unrip_records_taken_total: { help: 'Records taken from a topic', labels: { topic: null }, type: 'counter' },
  unrip_records_repeated_total: { help: 'Records dropped because their mark had them', labels: { topic: null }, type: 'counter' },
  unrip_records_published_total: { help: 'Records for a topic', labels: { topic: null }, type: 'counter' },
  unrip_dropped_total: { help: 'Events dropped: a stale token, or an ended actor', labels: { event: null }, type: 'counter' },
  unrip_ignored_total: { help: 'Events that their actor had no transition for', labels: { event: null }, type: 'counter' },
  unrip_parked_total: { help: 'Dead letters: events parked for a person, by kind of actor', labels: { kind: null }, type: 'counter' },
  unrip_parked_causes_total: {
    help: 'Dead letters by what parked them: the machine threw, the runtime refused, storage did not take it, nobody could read it, or it waits behind another',
    labels: { cause: ['threw', 'refused', 'storage', 'unreadable', 'waiting'] },
    type: 'counter',
  },
  unrip_letters_total: {
    help: 'Parked events that were taken again, parked again, or out of date by then',
    labels: { event: ['taken', 'parked_again', 'stale'] },
    type: 'counter',
  },
  unrip_effect_ends_total: { help: 'What came back of effects', labels: { event: null }, type: 'counter' },
  unrip_feed_events_total: { help: 'What a feed did: published, dropped, paused, unreadable', labels: { event: null }, type: 'counter' },
  unrip_events_total: { help: 'Every other counter of /state', labels: { event: null }, type: 'counter' },
} as const satisfies Record<string, MetricRow & { readonly type: 'gauge' | 'counter' }>

export interface MetricRow {
  readonly help: string
  /** name → its values where they are known; null: they are the deployment's (topics, lanes) or the machines' (events) */
  readonly labels: Readonly<Record<string, readonly string[] | null>>
}

export type CounterName = keyof typeof COUNTERS
export type HistogramName = keyof typeof HISTOGRAMS
