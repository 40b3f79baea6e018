/**
 * Every metric of the project, in one table: the meter, its documentation and the dashboards come from here.
 * Names follow Prometheus: prefix, base units, `_total` on counters. Labels are bounded sets, never ids, amounts or error texts.
 * A bucket stands on each goal (`le` of a missing boundary answers nothing).
 */
export const COUNTERS = {
  unrip_turns_total: { help: 'Turns by how they ended', labels: ['outcome'] },
  unrip_batches_total: { help: 'Batches by how their commit ended', labels: ['result'] },
  unrip_records_taken_total: { help: 'Records taken from a topic', labels: ['topic'] },
  unrip_records_published_total: { help: 'Records acknowledged by Kafka', labels: ['topic'] },
  unrip_dropped_total: { help: 'Records and events dropped, and why', labels: ['reason'] },
  unrip_parked_total: { help: 'Events parked for a person, and why', labels: ['cause'] },
  unrip_epochs_lost_total: { help: 'Lanes dropped because somebody else owned a newer epoch', labels: [] },
  unrip_lanes_taken_total: { help: 'Lanes taken, ownerless or expired', labels: ['how'] },
  unrip_orders_total: { help: 'Operator orders by name and outcome', labels: ['order', 'outcome'] },
  unrip_effects_ended_total: { help: 'Effects by name and end', labels: ['effect', 'end'] },
  unrip_gate_refused_total: { help: 'Sends that the gate refused, and why', labels: ['reason'] },
  unrip_timers_fired_total: { help: 'Timers that became events', labels: [] },
  unrip_cache_hits_total: { help: 'Snapshots found in the cache', labels: [] },
  unrip_cache_misses_total: { help: 'Snapshots read from the store', labels: [] },
  unrip_store_errors_total: { help: 'Errors of the store by code', labels: ['code'] },
  unrip_bus_errors_total: { help: 'Errors of the bus by code', labels: ['code'] },
  unrip_feed_frames_total: { help: 'Frames received from a venue', labels: ['venue'] },
  unrip_feed_reconnects_total: { help: 'Connections to a venue opened again, and why', labels: ['venue', 'reason'] },
  unrip_feed_dropped_total: { help: 'Frames dropped before they were numbered, and why', labels: ['venue', 'reason'] },
  unrip_feed_off_pair_total: { help: 'Requests for other pairs than ours', labels: ['venue'] },
  unrip_decisions_total: { help: 'Decisions by reason; TRADE is one of them', labels: ['reason'] },
  unrip_results_total: { help: 'Trade results by code', labels: ['code'] },
  unrip_alerts_total: { help: 'Alerts raised and cleared', labels: ['alert', 'transition'] },
  unrip_history_rows_total: { help: 'Rows written to the history', labels: ['topic'] },
} as const satisfies Record<string, MetricRow>

export const GAUGES = {
  unrip_lag_records: { help: 'Records between the committed offset and the end of the partition', labels: ['topic', 'lane'] },
  unrip_mark_age_seconds: { help: 'Time since a record of the topic last moved a mark', labels: ['topic'] },
  unrip_input_age_seconds: { help: 'Age of an input that decisions use', labels: ['input'] },
  unrip_effects: { help: 'Open effects by state', labels: ['state'] },
  unrip_uncertain: { help: 'Effects whose end only their oracle knows', labels: [] },
  unrip_timers: { help: 'Timers waiting', labels: [] },
  unrip_parked: { help: 'Actors that wait behind a parked event', labels: [] },
  unrip_cache_bytes: { help: 'Size of the cache of snapshots', labels: [] },
  unrip_cache_actors: { help: 'Actors in the cache of snapshots', labels: [] },
  unrip_outbox_bytes: { help: 'Committed and not yet acknowledged by Kafka', labels: [] },
  unrip_lanes_owned: { help: 'Lanes that this process owns', labels: [] },
  unrip_lanes_halted: { help: 'Owned lanes with a halted input', labels: [] },
  unrip_armed: { help: '1 where side effects are allowed', labels: [] },
  unrip_ready: { help: '1 while the service is ready', labels: [] },
  unrip_blocked: { help: '1 while the service is blocked for the reason', labels: ['code'] },
  unrip_feed_connected: { help: '1 while the connection to the venue is up', labels: ['venue'] },
  unrip_feed_last_frame_timestamp_seconds: { help: 'When the venue last said anything', labels: ['venue'] },
} as const satisfies Record<string, MetricRow>

export const HISTOGRAMS = {
  unrip_batch_turns: { help: 'Turns a batch', labels: [], buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] },
  unrip_commit_duration_seconds: {
    help: 'One commit, from sending to the answer',
    labels: [],
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1],
  },
  unrip_publish_duration_seconds: {
    help: 'One send to Kafka until every partition has answered',
    labels: [],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 5],
  },
  unrip_effect_duration_seconds: {
    help: 'One run of an effect handler',
    labels: ['effect'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  unrip_timer_late_seconds: { help: 'How late timers became events', labels: [], buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 30] },
  unrip_recovery_duration_seconds: { help: 'A lane from taken to its first turn', labels: [], buckets: [0.01, 0.05, 0.1, 0.3, 1, 3, 10] },
  unrip_quote_duration_seconds: {
    help: 'A quote from the frame in, by stage',
    labels: ['stage'],
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30, 120],
  },
} as const satisfies Record<string, MetricRow & { readonly buckets: readonly number[] }>

export interface MetricRow {
  readonly help: string
  readonly labels: readonly string[]
}

export type CounterName = keyof typeof COUNTERS
export type GaugeName = keyof typeof GAUGES
export type HistogramName = keyof typeof HISTOGRAMS
