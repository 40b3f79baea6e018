import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { COUNTERS, HISTOGRAMS } from './metric-table.ts'
import type { CounterName, HistogramName, MetricRow } from './metric-table.ts'

export type Labels = Readonly<Record<string, string>>

/** How a program counts. Names and labels are those of `metric-table.ts`. Never throws: a metric stops no trade. */
export interface Meter {
  count(name: CounterName, n?: number, labels?: Labels): void
  /** seconds, or what the name says */
  observe(name: HistogramName, value: number, labels?: Labels): void
}

/** A registry for one process, with Node's own metrics. Never the global one: it leaks from test to test. */
export const makeRegistry = ({ service, release }: { service: string; release: string }): Registry => {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 })
  const info = new Gauge({ name: 'unrip_build_info', help: 'Always 1', labelNames: ['release'], registers: [registry] })
  info.set({ release }, 1)
  return registry
}

/**
 * Every metric that programs count themselves, registered once. A counter shows as 0 from the start wherever its labels' values are
 * known, so that `rate()` sees its first event.
 * A name or a label that the table does not have is counted in `unrip_meter_misuse_total` and otherwise ignored.
 * @param registry a fresh one; registering twice throws
 */
export const metrics = (registry: Registry): Meter => {
  const registers = [registry]
  const counters = built<MetricRow, Counter>(COUNTERS, (name, { help, labels }) => {
    const counter = new Counter({ name, help, labelNames: Object.keys(labels), registers })
    for (const [label, values] of Object.entries(labels)) for (const value of values ?? []) counter.inc({ [label]: value }, 0)
    return counter
  })
  const histograms = built(
    HISTOGRAMS,
    (name, { help, labels, buckets }) => new Histogram({ name, help, labelNames: Object.keys(labels), buckets: [...buckets], registers }),
  )
  const misuse = new Counter({ name: 'unrip_meter_misuse_total', help: 'Calls that fit no metric; a bug', registers })
  const safely = (use: () => void): void => {
    try {
      use()
    } catch {
      misuse.inc()
    }
  }
  return {
    count: (name, n = 1, labels = {}) => safely(() => known(counters, name).inc(labels, n)),
    observe: (name, value, labels = {}) => safely(() => known(histograms, name).observe(labels, value)),
  }
}

const built = <R extends MetricRow, M>(table: Readonly<Record<string, R>>, make: (name: string, row: R) => M): ReadonlyMap<string, M> =>
  new Map(Object.entries(table).map(([name, row]) => [name, make(name, row)]))

const known = <M>(made: ReadonlyMap<string, M>, name: string): M => {
  const metric = made.get(name)
  if (metric === undefined) throw new RangeError(`no metric ${name}`)
  return metric
}
