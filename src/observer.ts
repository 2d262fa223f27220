import type pg from 'pg';
import type { Activity, Health } from './admin/activity.js';
import type { Dispatcher } from './deliver/dispatcher.js';
import { Lag } from './lag.js';
import { formatLsn, parseLsn, type Lsn } from './lsn.js';
import type { Figures, Metrics, State } from './metrics.js';
import { withoutQuery } from './reports.js';
import type { StallKind } from './stalls.js';
import type { EndpointStatus, Status } from './status.js';
import type { ParkedStore } from './store/parked.js';
import { VERSION } from './version.js';
import type { Follower } from './wal/follow.js';

export interface Observed {
  /** looks whether the stream still shows everything */
  readonly check: () => Promise<void>;
  /** a look at the server failed */
  readonly fault: (error: unknown) => void;
  readonly follower: Follower;
  readonly dispatcher: Dispatcher;
  readonly activity: Activity;
  /** what is confirmed to the server as soon as it is connected; 0 while nothing is known */
  readonly confirmed: () => Lsn;
  readonly buffered: () => number;
  readonly unsettled: () => number;
  /** it is being challenged */
  readonly verifying: (webhookId: string) => boolean;
  /** pg_replication_slots.wal_status is another than at the last look */
  readonly slotStatus: (status: string | null, safeBytes: number | null) => void;
  /** rows of the application's table that cannot be endpoints, and the rule that they break */
  readonly refusedRows: () => readonly { readonly id: string; readonly rule: string }[];
}

interface Counts {
  readonly waiting: number;
  readonly dead: number;
}

interface Slot {
  readonly walStatus: string | null;
  readonly confirmed: string | null;
  readonly lagBytes: number | null;
  readonly retainedBytes: number | null;
  readonly safeBytes: number | null;
}

const NOT_LOOKED_AT: Slot = { walStatus: null, confirmed: null, lagBytes: null, retainedBytes: null, safeBytes: null };

const INTERVAL_MS = 5_000;
/** Counting parked rows reads all of them. */
const COUNT_INTERVAL_MS = 15_000;

/** Looks at the server and at the rooms now and then, for health, metrics and status. Writes nothing. */
export class Observer {
  readonly #pool: pg.Pool;
  readonly #parked: ParkedStore;
  readonly #slot: string;
  readonly #shard: string | null;
  readonly #metrics: Metrics;
  readonly #observed: Observed;
  readonly #startedAt = new Date();
  state: State = 'starting';
  reason = 'starting';
  /** why nothing moves although the stream is up, by what found it out */
  readonly stalls = new Map<'shaping' | StallKind, string>();
  readonly #lag = new Lag();
  #slotSeen = NOT_LOOKED_AT;
  #counts = new Map<string, Counts>();
  #oldestWaitingAt: Date | null = null;
  #timer: NodeJS.Timeout | null = null;
  #observing = false;
  #countedAt = Number.NEGATIVE_INFINITY;

  /** @param shard "2/3", where several share the messages */
  constructor(pool: pg.Pool, parked: ParkedStore, slot: string, shard: string | null, metrics: Metrics, observed: Observed) {
    this.#pool = pool;
    this.#parked = parked;
    this.#slot = slot;
    this.#shard = shard;
    this.#metrics = metrics;
    this.#observed = observed;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), INTERVAL_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Now, not only when it is time. */
  look(): void {
    // The figures stay as they were.
    this.#tick().catch((error: unknown) => this.#observed.fault(error));
  }

  async #tick(): Promise<void> {
    if (this.#observing) return;
    this.#observing = true;
    try {
      await this.observe();
      await this.#observed.check();
    } finally {
      this.#observing = false;
    }
  }

  async observe(): Promise<void> {
    const at = performance.now();
    const result = await this.#pool.query<SlotRow>(SLOT_SQL, [this.#slot]);
    const row = result.rows[0];
    if (row === undefined) return;
    const before = this.#slotSeen.walStatus;
    this.#slotSeen = slotOf(row);
    const { walStatus, safeBytes } = this.#slotSeen;
    if (walStatus !== before && this.state !== 'standby') this.#observed.slotStatus(walStatus, safeBytes);
    // The one that streams answers for the slot.
    if (this.state === 'standby') this.#lag.reset();
    else this.#lag.look(parseLsn(row.written), at);
    if (performance.now() - this.#countedAt < COUNT_INTERVAL_MS) return;
    this.#countedAt = performance.now();
    const counts = await this.#parked.counts();
    this.#counts = new Map(counts.map(({ webhookId, waiting, dead }) => [webhookId, { waiting, dead }]));
    const waitingSince = counts.flatMap(({ oldest }) => (oldest === null ? [] : [oldest.getTime()]));
    this.#oldestWaitingAt = waitingSince.length === 0 ? null : new Date(Math.min(...waitingSince));
  }

  notReady(): string | null {
    for (const reason of this.stalls.values()) return reason;
    // 'unreserved' is no reason: only a bridge that goes on reading can still save the slot.
    if (this.state === 'streaming' && this.#slotSeen.walStatus === 'lost') return `replication slot "${this.#slot}" is lost: the server has removed WAL that it needs`;
    if (this.state === 'streaming' || this.state === 'standby') return null;
    return this.state === 'reconnecting' ? `not streaming: ${this.reason}` : this.state;
  }

  async metrics(): Promise<{ readonly type: string; readonly text: string }> {
    return this.#metrics.read(this.#figures());
  }

  #figures(): Figures {
    const { dispatcher, buffered, unsettled } = this.#observed;
    const all = [...dispatcher.endpoints];
    const counts = [...this.#counts.values()];
    const endpoints = { active: 0, failing: 0, unverified: 0, disabled: 0 };
    for (const endpoint of all) {
      if (!endpoint.webhook.enabled) endpoints.disabled += 1;
      else if (!endpoint.webhook.verified) endpoints.unverified += 1;
      else if (endpoint.failing) endpoints.failing += 1;
      else endpoints.active += 1;
    }
    return {
      state: this.state,
      ready: this.notReady() === null,
      lagSeconds: this.#lagSeconds(),
      slot: this.#slotSeen,
      bufferedBytes: buffered(),
      unsettled: unsettled(),
      inFlight: all.reduce((total, endpoint) => total + endpoint.inFlight, 0),
      waiting: counts.reduce((total, { waiting }) => total + waiting, 0),
      dead: counts.reduce((total, { dead }) => total + dead, 0),
      oldestWaitingSeconds: this.#oldestWaitingAt === null ? 0 : Math.max(0, Date.now() - this.#oldestWaitingAt.getTime()) / 1000,
      endpoints,
    };
  }

  /** By what is confirmed here or, while nothing is, by what the slot has. */
  #lagSeconds(): number {
    const here = this.#observed.confirmed();
    const slot = this.#slotSeen.confirmed === null ? 0n : parseLsn(this.#slotSeen.confirmed);
    return this.#lag.seconds(here > slot ? here : slot, performance.now());
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
      shard: this.#shard,
      receivedLsn: follower.stream === null ? null : formatLsn(follower.stream.received),
      confirmedLsn: this.#slotSeen.confirmed,
      lagBytes: this.#slotSeen.lagBytes,
      lagSeconds: this.state === 'standby' ? null : this.#lagSeconds(),
      walStatus: this.#slotSeen.walStatus,
      retainedBytes: this.#slotSeen.retainedBytes,
      safeBytes: Number.isFinite(this.#slotSeen.safeBytes) ? this.#slotSeen.safeBytes : null,
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

interface SlotRow {
  readonly [column: string]: string | null;
  readonly written: string;
  readonly name: string | null;
  readonly confirmed: string | null;
  readonly wal_status: string | null;
  readonly lag: string | null;
  readonly retained: string | null;
  readonly safe: string | null;
}

const SLOT_SQL = `
  SELECT pg_current_wal_lsn()::text AS written, s.slot_name::text AS name, s.confirmed_flush_lsn::text AS confirmed, s.wal_status,
         pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn) AS lag,
         pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) AS retained, s.safe_wal_size AS safe
    FROM (SELECT 1) one LEFT JOIN pg_replication_slots s ON s.slot_name = $1`;

function slotOf({ name, confirmed, wal_status, lag, retained, safe }: SlotRow): Slot {
  const walStatus = name === null ? 'missing' : wal_status;
  const gone = walStatus === 'missing' || walStatus === 'lost';
  return {
    walStatus,
    confirmed,
    lagBytes: lag === null ? null : Number(lag),
    retainedBytes: retained === null ? null : Number(retained),
    // Null for a lost slot too, which has nothing left to lose.
    safeBytes: gone ? 0 : safe === null ? Number.POSITIVE_INFINITY : Number(safe),
  };
}
