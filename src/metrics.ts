import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { Distribution, Tally } from './tally.js';
import type { Outcome } from './types.js';
import { VERSION } from './version.js';

const STATES = ['starting', 'streaming', 'standby', 'reconnecting', 'stopping'] as const;
export type State = (typeof STATES)[number];

/** pg_replication_slots.wal_status; missing: there is no such slot */
const WAL_STATUSES = ['reserved', 'extended', 'unreserved', 'lost', 'missing'] as const;

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What the rooms and the server say when the metrics are read; null: not known. */
export interface Figures {
  readonly state: State;
  readonly ready: boolean;
  readonly lagSeconds: number;
  readonly slot: {
    readonly walStatus: string | null;
    readonly lagBytes: number | null;
    readonly retainedBytes: number | null;
    /** Infinity: no limit is set */
    readonly safeBytes: number | null;
  };
  readonly bufferedBytes: number;
  readonly unsettled: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly dead: number;
  readonly oldestWaitingSeconds: number;
  readonly endpoints: Readonly<Record<'active' | 'failing' | 'unverified' | 'disabled', number>>;
}

/**
 * Everything that /metrics shows. Each label takes one of a few values that are known here. None names
 * an endpoint: with a thousand of them that would be many thousand series, and ids are never used
 * again, so they would only grow. Which endpoint it is says /api/status.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #state = this.#gauge('state', '1 for the state that this instance is in, 0 for the others', ['state']);
  readonly #ready = this.#gauge('ready', '1 while /readyz answers 200');
  readonly #lagSeconds = this.#gauge('lag_seconds', 'for how long WAL has waited to be confirmed, looked at every 5 s; 0 when all is, and on an instance that stands by');
  readonly #slotLag = this.#gauge('slot_lag_bytes', "WAL between the slot's confirmed LSN and the server's current one");
  readonly #slotRetained = this.#gauge('slot_retained_bytes', 'WAL that the server keeps on its disk for the slot');
  readonly #slotSafe = this.#gauge('slot_safe_bytes', 'WAL that may still be written before the slot is lost; +Inf without max_slot_wal_keep_size');
  readonly #slotStatus = this.#gauge('slot_wal_status', "1 for the slot's wal_status in pg_replication_slots, 0 for the others; missing: there is no slot", ['status']);
  readonly #buffered = this.#gauge('buffered_bytes', 'transactions and notifications in memory');
  readonly #unsettled = this.#gauge('unsettled_transactions', 'transactions received and not yet delivered or parked');
  readonly #inFlight = this.#gauge('requests_in_flight', 'requests under way');
  readonly #waiting = this.#gauge('deliveries_waiting', 'parked deliveries, counted every 15 s; the same on every instance (with SHARD, of its shard)');
  readonly #oldest = this.#gauge('deliveries_oldest_waiting_seconds', 'age of the oldest parked delivery, counted every 15 s; 0 when there is none');
  readonly #dead = this.#gauge('deliveries_dead', 'deliveries that were given up and are kept, counted every 15 s; the same on every instance (with SHARD, of its shard)');
  readonly #endpoints = this.#gauge('endpoints', 'endpoints by state; failing: verified, and only probed', ['state']);
  readonly transactions = this.#counter('transactions_total', 'transactions taken from the stream');
  readonly streamFaults = this.#counter('stream_faults_total', 'times that the replication stream broke');
  readonly stalls = this.#tally('stalls_total', 'times that nothing moved while all seemed well; stream: what was committed did not come, standstill: what came was not worked off', 'kind', [
    'stream', 'standstill',
  ]);
  readonly slotLost = this.#gauge('slot_lost_timestamp_seconds', 'when the slot was last found lost, so that changes were missed; 0: not since this process began');
  readonly notifications = this.#tally('notifications_total', 'notifications made, by what they tell; channel: about a channel as a whole, replay: a message once more because a replay was asked for', 'kind', [
    'message_created', 'message_changed', 'message_deleted', 'channel', 'replay',
  ]);
  readonly attempts = this.#tally('attempts_total', 'requests made, by outcome; rejected: any answer but 2xx and 410, unanswered: none', 'outcome', [
    'delivered', 'rejected', 'unanswered', 'gone',
  ]);
  readonly parked = this.#counter('deliveries_parked_total', 'deliveries written to the database, to be tried again or to wait behind another');
  readonly givenUp = this.#counter('deliveries_given_up_total', 'deliveries that became dead');
  readonly conflated = this.#counter('deliveries_conflated_total', 'deliveries that were not made because they collapsed into others, or came to nothing with them (webhooks.conflate)');
  readonly verifications = this.#tally('verifications_total', 'challenges sent, by result', 'result', ['verified', 'failed']);
  readonly anomalies = this.#tally('anomalies_total', 'changes that could not be told in full, by kind', 'kind', ['no_old_row', 'unknown_channel', 'template_error', 'not_rendered']);
  readonly latency = new Distribution(
    this.registry, 'slackchat_bridge_delivery_latency_seconds', "from the commit, by the server's clock, to the receiver's answer; first attempts that were delivered", SECONDS,
  );
  readonly attemptDuration = new Distribution(
    this.registry, 'slackchat_bridge_attempt_duration_seconds', 'from sending a request to its outcome', SECONDS,
  );

  constructor(slot: string) {
    this.#gauge('info', '1; which version this is and which slot it is for', ['version', 'node', 'slot']).set({ version: VERSION, node: process.version, slot }, 1);
    collectDefaultMetrics({ register: this.registry });
  }

  async read(figures: Figures): Promise<{ readonly type: string; readonly text: string }> {
    this.#show(figures);
    return { type: this.registry.contentType, text: await this.registry.metrics() };
  }

  #show(figures: Figures): void {
    for (const state of STATES) this.#state.set({ state }, figures.state === state ? 1 : 0);
    this.#ready.set(figures.ready ? 1 : 0);
    this.#lagSeconds.set(figures.lagSeconds);
    const { walStatus, lagBytes, retainedBytes, safeBytes } = figures.slot;
    // A slot that is just being made has none yet.
    for (const status of WAL_STATUSES) this.#slotStatus.set({ status }, walStatus === status ? 1 : 0);
    this.#slotLag.set(lagBytes ?? Number.NaN);
    this.#slotRetained.set(retainedBytes ?? Number.NaN);
    this.#slotSafe.set(safeBytes ?? Number.NaN);
    this.#buffered.set(figures.bufferedBytes);
    this.#unsettled.set(figures.unsettled);
    this.#inFlight.set(figures.inFlight);
    this.#waiting.set(figures.waiting);
    this.#oldest.set(figures.oldestWaitingSeconds);
    this.#dead.set(figures.dead);
    for (const [state, count] of Object.entries(figures.endpoints)) this.#endpoints.set({ state }, count);
  }

  #gauge(name: string, help: string, labelNames: readonly string[] = []): Gauge {
    return new Gauge({ name: `slackchat_bridge_${name}`, help, labelNames, registers: [this.registry] });
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name: `slackchat_bridge_${name}`, help, registers: [this.registry] });
  }

  #tally<const T extends string>(name: string, help: string, label: string, values: readonly T[]): Tally<T> {
    return new Tally(this.registry, `slackchat_bridge_${name}`, help, label, values);
  }
}

/** How an attempt is counted. */
export function outcomeLabel(outcome: Outcome): 'delivered' | 'rejected' | 'unanswered' | 'gone' {
  if (outcome.kind !== 'failed') return outcome.kind;
  return outcome.status === null ? 'unanswered' : 'rejected';
}
