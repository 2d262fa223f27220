import type pg from 'pg';
import { Activity } from './admin/activity.js';
import type { AdminServer } from './admin/server.js';
import { openAdmin } from './admin-port.js';
import { bareEntities, openSource } from './chat.js';
import type { BridgeConfig } from './config.js';
import { Primary } from './database.js';
import { Allowance } from './deliver/allowance.js';
import { EndpointClient } from './deliver/attempt.js';
import { Dispatcher } from './deliver/dispatcher.js';
import { Egress } from './deliver/egress.js';
import { IdleConnections } from './deliver/idle-connections.js';
import { LateRequests } from './deliver/late.js';
import { inTurns } from './deliver/parking-turns.js';
import { Registry } from './deliver/registry.js';
import { errorMessage } from './errors.js';
import { DIRECTORY_LIMIT, Leadership } from './leadership.js';
import { Garbage, Pressure } from './garbage.js';
import { Intake } from './intake.js';
import { overload } from './load.js';
import type { Logger } from './log.js';
import type { Lsn } from './lsn.js';
import { Metrics } from './metrics.js';
import { Mirror } from './mirror.js';
import { Observer } from './observer.js';
import { anomalyEvents, endpointEvents, registryEvents, slotStatusEvent, stallEvents } from './reports.js';
import { Resolver } from './resolver.js';
import { inspect } from './setup/inspect.js';
import { namesOf, type Names } from './setup/names.js';
import { requireReady } from './setup/plan.js';
import { Stalls } from './stalls.js';
import { ChannelData } from './shape/channel-data.js';
import { Directory } from './shape/directory.js';
import { Rendering } from './shape/render/rendering.js';
import { RenderThread } from './shape/render/thread.js';
import { Shaper } from './shape/shaper.js';
import { sendCanary } from './store/canary.js';
import { statusPage } from './status-page.js';
import { ChannelReader } from './store/channels.js';
import { CompletenessStore } from './store/completeness.js';
import { MirrorStore } from './store/mirror.js';
import { ParkedStore } from './store/parked.js';
import { createPool, sessionOptions } from './store/pool.js';
import type { Source } from './store/source.js';
import { Term } from './store/term.js';
import { WebhookStore } from './store/webhooks.js';
import { whenReachable } from './reachable.js';
import { isFirst, laneSql, shareOf, spellShard, type Shard } from './shard.js';
import { USER_AGENT } from './version.js';
import { watchedTables } from './watched.js';
import { Follower } from './wal/follow.js';
import { Inbox } from './wal/inbox.js';
import { Ledger, type Entry } from './wal/ledger.js';

const MEGABYTE = 1024 * 1024;
/** Beside MAX_BUFFER_MB; with more the collector comes sooner. */
const BASE_MB = 128;
/** On the database, beside the stream; and of these for parked deliveries. */
const SESSIONS = 5;
const PARKING_SESSIONS = 3;
/**
 * Connections without a request, for each of MAX_BUFFER_MB; what holds them counts as two. With those that are in use a
 * thousand endpoints keep one each by default: with a third of that nearly each request opened one (420 µs in place of 82, and 330 MB in place of 215).
 */
const IDLE_PER_MB = 24;
/** For one text in the thread beside: what an attacker can write takes some seconds. */
const RENDER_DEADLINE_MS = 10_000;

export interface BridgeOptions {
  /** Resolves when it may stream; called with `onWait` when that is not at once. */
  readonly prepare?: (pool: pg.Pool, onWait: () => void, signal: AbortSignal) => Promise<void>;
  /** It tells, of one that shared the messages before, what was committed before this position, and ends. */
  readonly until?: Lsn;
}

/** The composition root: builds the rooms, runs the one loop, stops in reverse order. */
export class Bridge {
  readonly #config: BridgeConfig;
  readonly #options: BridgeOptions;
  /** everything before `until` is told */
  readonly #reached = new AbortController();
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #activity = new Activity();
  readonly #ledger = new Ledger();
  readonly #inbox = new Inbox(this.#ledger);
  readonly #pool: pg.Pool;
  readonly #shaper: Shaper<Entry>;
  readonly #channelData: ChannelData;
  readonly #thread: RenderThread;
  readonly #dispatcher: Dispatcher;
  readonly #late: LateRequests;
  readonly #registry: Registry;
  readonly #mirror: Mirror | null;
  readonly #observer: Observer;
  readonly #resolver: Resolver | null;
  readonly #follower: Follower;
  readonly #leadership: Leadership;
  readonly #stalls: Stalls;
  readonly #pressure: Pressure;
  readonly #intake: Intake;
  private constructor(config: BridgeConfig, log: Logger, primary: Primary, pool: pg.Pool, source: Source, names: Names, options: BridgeOptions) {
    this.#config = config;
    this.#options = options;
    this.#log = log;
    this.#metrics = new Metrics(names.slot);
    this.#pool = pool;
    const chat = { bare: bareEntities(source), chatTypeName: config.mapping.chatTypeName };
    const directory = new Directory((entity, ids) => source.lookup(entity, ids), (ids) => source.templates(ids), DIRECTORY_LIMIT, chat);
    const egress = new Egress({ mode: config.EGRESS, allow: config.EGRESS_ALLOW, deny: config.EGRESS_DENY });
    const timing = { baseMs: config.RETRY_BASE_MS, maxMs: config.RETRY_MAX_MS, maxAgeMs: config.RETRY_MAX_AGE_MS };
    const request = { egress, timeoutMs: config.REQUEST_TIMEOUT_MS, token: config.WEBHOOK_VERIFICATION_TOKEN, userAgent: USER_AGENT };
    const term = new Term(pool, names.slot);
    const parked = new ParkedStore(pool, term, () => this.#ledger.repeating, (lane) => laneSql(config.SHARD, source.table('message')?.keyType ?? 'bigint', lane));
    const events = endpointEvents(log, this.#metrics, this.#activity, {
      note: (webhook, failure) => this.#inBackground('noting an endpoint\'s state', this.#registry.note(webhook, failure, Date.now())),
      gone: (webhook, reason) => this.#inBackground('disabling an endpoint', this.#registry.gone(webhook, reason)),
    });
    const bytes = config.MAX_BUFFER_MB * MEGABYTE;
    const garbage = new Garbage(bytes / 2);
    this.#pressure = new Pressure(bytes + BASE_MB * MEGABYTE);
    const largest = Math.max(bytes / 2, config.MAX_PAYLOAD_MB * MEGABYTE);
    const allowance = new Allowance(bytes / 4, bytes / 16, largest, (body) => garbage.add(body));
    const idle = new IdleConnections(config.MAX_BUFFER_MB * IDLE_PER_MB);
    const connect = (endpoint: string, connections: number): EndpointClient => new EndpointClient(endpoint, connections, config.REQUEST_TIMEOUT_MS, egress, idle);
    this.#dispatcher = new Dispatcher({ ...request, shard: spellShard(config.SHARD), connect, timing, allowance, stream: { repeatedBefore: () => this.#ledger.repeating.to, storedBefore: () => this.#leadership.storedBefore, next: () => this.#ledger.next } }, inTurns(parked, PARKING_SESSIONS), events, (bytes * 3) / 8, overload());
    this.#late = new LateRequests(this.#dispatcher);
    this.#resolver = options.until === undefined ? new Resolver(new CompletenessStore(pool, term, names.slot), this.#ledger, this.#dispatcher, log) : null;
    // What is no message's own is done by one of those that share the messages.
    const first = isFirst(config.SHARD);
    const appTable = names.tables.find(({ entity }) => entity === 'appWebhook');
    this.#mirror = appTable === undefined || !first ? null : new Mirror(new MirrorStore(pool, term, appTable), log);
    const webhooks = new WebhookStore(pool, term, names.slot, appTable, (total) => shareOf(config.SHARD, total));
    const found = registryEvents(log, this.#metrics);
    this.#registry = new Registry(webhooks, this.#dispatcher, { ...request, retryBaseMs: config.RETRY_BASE_MS, challenges: first }, this.#mirror?.events(found) ?? found);
    this.#follower = new Follower(
      {
        connection: async () => {
          const server = await primary.locate();
          return { ...server, options: [server.options, sessionOptions(config.TIME_ZONE, 0)].filter((part) => part !== undefined).join(' ') };
        },
        slot: names.slot,
        publication: names.publication,
        watched: watchedTables(names.tables, config.CHANNEL_REQUESTS === 'auto'),
        controlPrefix: 'slackchat_bridge',
        partBytes: bytes / 8,
        inboxBytes: bytes / 512,
        until: options.until === undefined ? null : { lsn: options.until, reached: () => this.#reached.abort() },
      },
      this.#inbox,
      this.#ledger,
      {
        leading: (identity, fresh) => this.#leadership.leading(identity, fresh),
        standingBy: () => this.#leadership.standingBy(),
        faulted: (reason) => this.#leadership.faulted(reason),
        slotLost: (error) => this.#leadership.slotLost(error),
        endOwn: (pid) => this.#leadership.endOwn(pid),
      },
    );
    this.#observer = new Observer(pool, parked, names.slot, spellShard(config.SHARD), this.#metrics, {
      check: () => this.#leadership.check(),
      fault: (error) => this.#leadership.serverFault(error),
      follower: this.#follower,
      dispatcher: this.#dispatcher,
      activity: this.#activity,
      confirmed: () => this.#ledger.confirmed,
      buffered: () => this.#inbox.bytes + this.#dispatcher.bytes,
      unsettled: () => this.#ledger.open,
      verifying: (webhookId) => this.#registry.verifying(webhookId),
      slotStatus: slotStatusEvent(log),
      refusedRows: () => this.#mirror?.refused ?? [],
    });
    this.#thread = new RenderThread(new URL('./shape/render/worker.js', import.meta.url), RENDER_DEADLINE_MS);
    const rendering = new Rendering((text) => this.#thread.render(text), config.MAX_PAYLOAD_MB * MEGABYTE);
    pool.on('error', () => this.#observer.look());
    this.#shaper = new Shaper<Entry>(source, directory, {
      settleMs: config.SETTLE_MS,
      storedBefore: () => this.#leadership.storedBefore,
      channelIdFormat: config.CHANNEL_ID_FORMAT,
      maxPayloadBytes: config.MAX_PAYLOAD_MB * MEGABYTE,
      channelRequests: config.CHANNEL_REQUESTS === 'auto',
      shard: config.SHARD === null ? null : { first, own: ownIn(source, config.SHARD) },
      rendering,
      onAnomaly: anomalyEvents(log, this.#metrics),
    });
    this.#channelData = new ChannelData(new ChannelReader(pool, source), directory, {
      mediaUrl: config.MEDIA_URL,
      maxBytes: largest,
      markdown: (text) => rendering.markdown(text),
      serialize: (messages) => this.#shaper.serialize(messages),
      onFault: (channel, reason, retryInMs) => log.error({ channel, reason, retryInMs }, 'a channel cannot be serialized yet'),
      onLeftOut: (channel, reason) => log.error({ channel, reason }, 'a channel cannot be serialized: its request is sent with channel_data null'),
    });
    this.#intake = new Intake({
      log,
      metrics: this.#metrics,
      inbox: this.#inbox,
      ledger: this.#ledger,
      source,
      shaper: this.#shaper,
      thread: this.#thread,
      channelData: this.#channelData,
      dispatcher: this.#dispatcher,
      late: this.#late,
      registry: this.#registry,
      mirror: this.#mirror,
      observer: this.#observer,
      resolver: this.#resolver,
      garbage,
      shared: config.SHARD !== null,
      systemId: () => this.#leadership.systemId,
    });
    this.#leadership = new Leadership(config, log, this.#metrics, names, {
      pool,
      source,
      term,
      ledger: this.#ledger,
      parked,
      directory,
      dispatcher: this.#dispatcher,
      registry: this.#registry,
      webhooks,
      mirror: this.#mirror,
      inbox: this.#inbox,
      follower: this.#follower,
      observer: this.#observer,
      forget: () => this.#intake.forget(),
      finishing: options.until !== undefined,
    });
    this.#stalls = new Stalls(config.CANARY_INTERVAL_MS, this.#observer, this.#follower, stallEvents(log, this.#metrics), {
      arrived: () => this.#inbox.newest,
      send: () => sendCanary(pool),
      work: () => ({ doing: this.#intake.doing, waiting: this.#inbox.bytes > 0, done: this.#intake.done }),
    });
  }

  /**
   * Waits for the server, checks what the bridge needs, and builds everything; sends nothing yet.
   * @throws {PreconditionError} when the database is not ready for the bridge
   */
  static async open(config: BridgeConfig, log: Logger, signal: AbortSignal, options: BridgeOptions = {}): Promise<Bridge | null> {
    const names = namesOf(config);
    const primary = await whenReachable(() => Primary.find(config.environment, 'slackchat-bridge'), log, signal);
    if (primary === null) return null;
    const pool = createPool(() => primary.config, sessionOptions(config.TIME_ZONE, 30_000), SESSIONS, (error) => log.debug({ reason: error.message }, 'a database session broke'));
    let bridge: Bridge | null = null;
    try {
      const source = await whenReachable(async () => {
        if (options.until === undefined) requireReady(await inspect(pool, names), names);
        return openSource(pool, config);
      }, log, signal);
      if (source !== null) bridge = new Bridge(config, log, primary, pool, source, names, options);
      return bridge;
    } finally {
      if (bridge === null) await pool.end();
    }
  }

  /**
   * Runs until the signal, then delivers or parks what is in memory, confirms it, and ends.
   * @throws {PreconditionError} for a fault that no retry mends
   */
  async run(signal: AbortSignal): Promise<void> {
    let admin: AdminServer | null = null;
    try {
      admin = await openAdmin(this.#config, this.#log, this.#observer, statusPage(this.#pool, this.#observer, this.#activity, this.#log));
      this.#observer.start();
      this.#resolver?.start();
      this.#stalls.start();
      this.#pressure.start();
      await this.#options.prepare?.(this.#pool, () => (this.#observer.state = 'standby'), signal);
      this.#observer.state = 'starting';
      if (!signal.aborted) await this.#stream(AbortSignal.any([signal, this.#reached.signal]));
    } finally {
      this.#observer.stop();
      this.#resolver?.stop();
      this.#stalls.stop();
      this.#pressure.stop();
      this.#registry.forget();
      this.#mirror?.halt();
      this.#dispatcher.close();
      this.#thread.close();
      await admin?.close();
      await this.#pool.end();
    }
    this.#log.info({ unsettled: this.#ledger.open }, 'stopped');
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const streaming = new AbortController();
    const broken = new AbortController();
    const followed = this.#follower.run(streaming.signal).finally(() => broken.abort());
    // Awaited at the end; until then a rejection is not unhandled.
    followed.catch(() => undefined);
    try {
      await this.#intake.run(AbortSignal.any([signal, broken.signal]));
      this.#observer.state = 'stopping';
      this.#log.info({ unsettled: this.#ledger.open }, 'stopping');
      this.#registry.close();
      // What is being made is not confirmed: it comes again after the next start.
      this.#late.reset();
      this.#channelData.cancel();
      await this.#dispatcher.drain(this.#config.SHUTDOWN_TIMEOUT_MS);
      await this.#follower.stream?.close();
    } finally {
      streaming.abort();
      await followed;
    }
  }

  #inBackground(what: string, work: Promise<unknown> | null): void {
    work?.catch((error: unknown) => this.#log.error({ reason: errorMessage(error) }, `${what} failed`));
  }
}

function ownIn(source: Source, shard: Shard): (messageIds: readonly string[]) => Promise<readonly string[]> {
  return async (messageIds) => source.ownOf(shard, messageIds);
}
