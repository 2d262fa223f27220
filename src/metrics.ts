import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** Counts by one label in plain numbers, which prom-client asks for when it is read: its own `inc` hashes the label each time. */
export class Tally {
  readonly #counts = new Map<string, number>();

  constructor(name: string, help: string, label: string, registry: Registry) {
    const counts = this.#counts;
    registry.registerMetric(
      new Counter({
        name,
        help,
        labelNames: [label],
        registers: [],
        collect() {
          this.reset();
          for (const [value, count] of counts) this.inc({ [label]: value }, count);
        },
      }),
    );
  }

  add(value: string): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }
}

/** Everything that /metrics shows. No label can take unbounded values. */
export class Metrics {
  readonly registry = new Registry();
  readonly streaming = this.#gauge('streaming', '1 while this instance streams from the slot');
  readonly lagBytes = this.#gauge('lag_bytes', 'WAL between the slot\'s confirmed LSN and the server\'s current one');
  readonly bufferedBytes = this.#gauge('buffered_bytes', 'what is held in memory of transactions and notifications');
  readonly inFlight = this.#gauge('in_flight_requests', 'requests under way');
  readonly waiting = this.#gauge('waiting_deliveries', 'parked deliveries that wait');
  readonly dead = this.#gauge('dead_deliveries', 'deliveries that were given up');
  readonly endpoints = new Gauge({ name: 'slackchat_bridge_endpoints', help: 'endpoints by state', labelNames: ['state'], registers: [this.registry] });
  readonly transactions = this.#counter('transactions_total', 'transactions taken from the stream');
  readonly reconnects = this.#counter('stream_faults_total', 'times that the replication stream broke');
  readonly notifications = new Tally('slackchat_bridge_notifications_total', 'notifications made, by kind', 'kind', this.registry);
  readonly attempts = new Tally('slackchat_bridge_attempts_total', 'requests made, by outcome', 'outcome', this.registry);
  readonly parked = this.#counter('parked_total', 'deliveries that were parked');
  readonly died = this.#counter('died_total', 'deliveries that were given up, ever');
  readonly verifications = new Counter({
    name: 'slackchat_bridge_verifications_total',
    help: 'challenges sent, by result',
    labelNames: ['result'],
    registers: [this.registry],
  });
  readonly anomalies = new Counter({
    name: 'slackchat_bridge_anomalies_total',
    help: 'changes that could not be told in full, by kind',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  readonly latency = new Histogram({
    name: 'slackchat_bridge_delivery_seconds',
    help: 'from the commit, by the server\'s clock, to the answer of the receiver; first attempts only',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name: `slackchat_bridge_${name}`, help, registers: [this.registry] });
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name: `slackchat_bridge_${name}`, help, registers: [this.registry] });
  }
}
