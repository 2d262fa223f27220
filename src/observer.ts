import type pg from 'pg';
import type { Activity, Health } from './admin/activity.js';
import type { Dispatcher } from './deliver/dispatcher.js';
import { formatLsn } from './lsn.js';
import type { Metrics } from './metrics.js';
import { withoutQuery } from './reports.js';
import type { EndpointStatus, Status } from './status.js';
import type { ParkedStore } from './store/parked.js';
import { VERSION } from './version.js';
import type { Follower } from './wal/follow.js';

export type State = 'starting' | 'streaming' | 'standby' | 'reconnecting' | 'stopping';

export interface Observed {
  /** looks whether the stream still shows everything */
  readonly check: () => Promise<void>;
  readonly follower: Follower;
  readonly dispatcher: Dispatcher;
  readonly activity: Activity;
  readonly buffered: () => number;
  readonly unsettled: () => number;
  /** it is being challenged */
  readonly verifying: (webhookId: string) => boolean;
  /** rows of the application's table that cannot be endpoints, and the rule that they break */
  readonly refusedRows: () => readonly { readonly id: string; readonly rule: string }[];
}

interface Counts {
  readonly waiting: number;
  readonly dead: number;
}

const INTERVAL_MS = 5_000;
/** Counting parked rows reads all of them. */
const COUNT_INTERVAL_MS = 15_000;

/** Looks at the server and at the rooms now and then, for health, metrics and status. Writes nothing. */
export class Observer {
  readonly #pool: pg.Pool;
  readonly #parked: ParkedStore;
  readonly #slot: string;
  readonly #metrics: Metrics;
  readonly #observed: Observed;
  readonly #startedAt = new Date();
  state: State = 'starting';
  reason = 'starting';
  /** why nothing moves although the stream is up */
  stalled: string | null = null;
  #lagBytes: number | null = null;
  #confirmed: string | null = null;
  #counts = new Map<string, Counts>();
  #timer: NodeJS.Timeout | null = null;
  #observing = false;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(pool: pg.Pool, parked: ParkedStore, slot: string, metrics: Metrics, observed: Observed) {
    this.#pool = pool;
    this.#parked = parked;
    this.#slot = slot;
    this.#metrics = metrics;
    this.#observed = observed;
  }

  start(): void {
    this.#timer = setInterval(() => {
      // A server that is away is reported by the stream; the figures stay as they were.
      this.#tick().catch(() => undefined);
    }, INTERVAL_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #tick(): Promise<void> {
    if (this.#observing) return;
    this.#observing = true;
    try {
      await this.#observed.check();
      await this.observe();
    } finally {
      this.#observing = false;
    }
  }

  async observe(): Promise<void> {
    const result = await this.#pool.query<{ lag: string | null; confirmed: string | null }>(
      `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn) AS lag, s.confirmed_flush_lsn::text AS confirmed
         FROM (SELECT 1) one LEFT JOIN pg_replication_slots s ON s.slot_name = $1`,
      [this.#slot],
    );
    const row = result.rows[0];
    const lag = row?.lag ?? null;
    this.#lagBytes = lag === null ? null : Number(lag);
    this.#confirmed = row?.confirmed ?? null;
    if (performance.now() - this.#countedAt < COUNT_INTERVAL_MS) return;
    this.#countedAt = performance.now();
    const counts = await this.#parked.counts();
    this.#counts = new Map(counts.map(({ webhookId, waiting, dead }) => [webhookId, { waiting, dead }]));
  }

  notReady(): string | null {
    if (this.stalled !== null) return this.stalled;
    if (this.state === 'streaming' || this.state === 'standby') return null;
    return this.state === 'reconnecting' ? `not streaming: ${this.reason}` : this.state;
  }

  async metrics(): Promise<{ readonly type: string; readonly text: string }> {
    const metrics = this.#metrics;
    const endpoints = [...this.#observed.dispatcher.endpoints];
    const sum = (of: (counts: Counts) => number): number => [...this.#counts.values()].reduce((total, counts) => total + of(counts), 0);
    metrics.streaming.set(this.state === 'streaming' ? 1 : 0);
    if (this.#lagBytes !== null) metrics.lagBytes.set(this.#lagBytes);
    metrics.bufferedBytes.set(this.#observed.buffered());
    metrics.inFlight.set(endpoints.reduce((total, endpoint) => total + endpoint.inFlight, 0));
    metrics.waiting.set(sum((counts) => counts.waiting));
    metrics.dead.set(sum((counts) => counts.dead));
    const states = { active: 0, failing: 0, unverified: 0, disabled: 0 };
    for (const endpoint of endpoints) {
      if (!endpoint.webhook.enabled) states.disabled += 1;
      else if (!endpoint.webhook.verified) states.unverified += 1;
      else if (endpoint.failing) states.failing += 1;
      else states.active += 1;
    }
    for (const [state, count] of Object.entries(states)) metrics.endpoints.set({ state }, count);
    return { type: metrics.registry.contentType, text: await metrics.registry.metrics() };
  }

  /** Holds no token and no secret: endpoints are shown without their query. */
  status(): Status {
    const { follower, dispatcher, activity, buffered, unsettled, verifying, refusedRows } = this.#observed;
    activity.retain(new Set([...dispatcher.endpoints].map(({ webhook }) => webhook.id)));
    return {
      version: VERSION,
      state: this.state,
      reason: this.notReady(),
      since: this.#startedAt.toISOString(),
      slot: this.#slot,
      receivedLsn: follower.stream === null ? null : formatLsn(follower.stream.received),
      confirmedLsn: this.#confirmed,
      lagBytes: this.#lagBytes,
      bufferedBytes: buffered(),
      unsettledTransactions: unsettled(),
      endpoints: [...dispatcher.endpoints].map((endpoint) => ({
        id: endpoint.webhook.id,
        endpoint: withoutQuery(endpoint.webhook.endpoint),
        enabled: endpoint.webhook.enabled,
        verified: endpoint.webhook.verified,
        verifying: verifying(endpoint.webhook.id),
        failing: endpoint.failing,
        inFlight: endpoint.inFlight,
        queued: endpoint.queued,
        waiting: this.#counts.get(endpoint.webhook.id)?.waiting ?? 0,
        dead: this.#counts.get(endpoint.webhook.id)?.dead ?? 0,
        ...times(activity.health(endpoint.webhook.id), endpoint.probeAt),
      })),
      refusedRows: refusedRows(),
    };
  }
}

function times({ lastSuccessAt, failingSince }: Health, probeAt: number | null): Pick<EndpointStatus, 'lastSuccessAt' | 'failingSince' | 'nextProbeAt'> {
  const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
  return { lastSuccessAt: iso(lastSuccessAt), failingSince: iso(failingSince), nextProbeAt: iso(probeAt) };
}
