import type pg from 'pg';
import type { BridgeConfig } from './config.js';
import type { Dispatcher } from './deliver/dispatcher.js';
import type { Registry } from './deliver/registry.js';
import { errorCode, errorMessage, PreconditionError, StreamError, type SlotLostError } from './errors.js';
import type { Logger } from './log.js';
import type { Lsn } from './lsn.js';
import type { Metrics } from './metrics.js';
import type { Mirror } from './mirror.js';
import type { Observer } from './observer.js';
import { inspect } from './setup/inspect.js';
import { refuseLayout } from './setup/layout.js';
import { allOf, countOf, type Names } from './setup/names.js';
import { missingFromStream } from './setup/plan.js';
import { noteResync, replaceSlot, requireLost, resumeResync } from './setup/slot.js';
import { isFirst } from './shard.js';
import { DIRECTORY_ENTITIES, type Directory } from './shape/directory.js';
import { disableMirrored } from './store/mirror.js';
import type { ParkedStore } from './store/parked.js';
import type { Source } from './store/source.js';
import type { Term } from './store/term.js';
import type { WebhookStore } from './store/webhooks.js';
import type { Follower, FollowHooks } from './wal/follow.js';
import type { Inbox } from './wal/inbox.js';
import type { Ledger } from './wal/ledger.js';
import type { SystemIdentity } from './wal/stream.js';

/** Names that are known from the start. */
export const DIRECTORY_LIMIT = 50_000;

/** cannot_connect_now: while a stream is up, the server can only be on its way down. */
const SHUTTING_DOWN = '57P03';

export interface LeadershipRooms {
  readonly pool: pg.Pool;
  readonly source: Source;
  readonly term: Term;
  readonly ledger: Ledger;
  readonly parked: ParkedStore;
  readonly directory: Directory;
  readonly dispatcher: Dispatcher;
  readonly registry: Registry;
  readonly webhooks: WebhookStore;
  readonly mirror: Mirror | null;
  readonly inbox: Inbox;
  readonly follower: Follower;
  readonly observer: Observer;
  /** What is being shaped and made belongs to a history that was left. */
  readonly forget: () => void;
  /** it tells what is left in the slot of one that shared the messages before */
  readonly finishing: boolean;
}

/** What happens when this instance begins to stream from the slot, stands by, or finds it lost. */
export class Leadership implements FollowHooks {
  readonly #config: BridgeConfig;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #names: Names;
  readonly #rooms: LeadershipRooms;
  #systemId = '';
  #storedBefore: Lsn = 0n;

  constructor(config: BridgeConfig, log: Logger, metrics: Metrics, names: Names, rooms: LeadershipRooms) {
    this.#config = config;
    this.#log = log;
    this.#metrics = metrics;
    this.#names = names;
    this.#rooms = rooms;
  }

  /** Of the cluster whose slot was last led. */
  get systemId(): string {
    return this.#systemId;
  }

  /** Of the commits that come once more, none from here on has rows of deliveries. */
  get storedBefore(): Lsn {
    return this.#storedBefore;
  }

  async leading(identity: SystemIdentity, fresh: boolean): Promise<void> {
    const { pool, source, term, ledger, inbox, observer, dispatcher } = this.#rooms;
    if (!fresh) await term.check();
    source.forgetSnapshot();
    if (fresh) {
      this.#systemId = identity.systemId;
      await this.#beginAfresh(identity);
    }
    await this.#checkStream();
    if (await resumeResync(pool, this.#names)) {
      this.#log.warn('every channel is announced, because changes were missed');
      dispatcher.removed('*', ledger.next);
    }
    observer.state = 'streaming';
    this.#log.info({ slot: this.#names.slot, systemId: identity.systemId, timeline: identity.timeline, fresh }, 'streaming');
    dispatcher.resume();
    inbox.open();
  }

  async standingBy(): Promise<void> {
    const { observer } = this.#rooms;
    if (observer.state === 'standby') return;
    observer.state = 'standby';
    await this.#forget();
    this.#log.info({ slot: this.#names.slot }, 'standing by: another instance streams from the slot');
  }

  faulted(reason: string): void {
    this.#reconnecting(reason);
    this.#metrics.streamFaults.inc();
    this.#log.warn({ reason }, 'the replication stream broke; it is begun again from the slot');
  }

  async slotLost(error: SlotLostError): Promise<void> {
    const { pool, finishing } = this.#rooms;
    this.#reconnecting(error.message);
    const state = await requireLost(pool, this.#names);
    if (finishing) throw new PreconditionError(`${error.message}: what was left in it is lost`);
    refuseLayout(state, this.#names, false);
    this.#metrics.slotLost.setToCurrentTime();
    if (this.#config.ON_SLOT_LOST === 'stop') {
      throw new PreconditionError(`${error.message}; changes since are lost to webhooks. ON_SLOT_LOST is stop: run slackchat-bridge setup, then resync the endpoints`);
    }
    this.#log.error({ reason: error.message }, 'the slot is lost: a new one is made, and every channel is announced to every endpoint');
    await replaceSlot(pool, this.#names);
  }

  /** Our own connection died without the server noticing: its walsender still holds the slot. */
  async endOwn(pid: number): Promise<boolean> {
    const result = await this.#rooms.pool.query<{ ended: string | null }>(
      `SELECT pg_terminate_backend(active_pid) AS ended FROM pg_replication_slots WHERE slot_name = $1 AND active_pid = $2`,
      [this.#names.slot, pid],
    );
    return result.rows.length > 0;
  }

  /** Looked at now and then while it streams: ends a stream that no longer shows every change. */
  async check(): Promise<void> {
    const { observer, follower } = this.#rooms;
    if (observer.state !== 'streaming') return;
    try {
      await this.#checkStream();
    } catch (error) {
      if (!(error instanceof StreamError) && !(error instanceof PreconditionError)) throw error;
      this.#log.error({ reason: error.message }, 'the stream does not show every change');
      follower.stream?.interrupt(new StreamError(error.message));
    }
  }

  /**
   * A server that shuts down waits for its walsender, which waits for us to read. Where that is not done, because
   * memory is full of what a server that shuts down no longer takes, the two would wait for each other.
   */
  serverFault(error: unknown): void {
    if (errorCode(error) === SHUTTING_DOWN) this.#rooms.follower.stream?.interrupt(new StreamError(errorMessage(error)));
  }

  /** Nothing in memory counts any more: everything is read as it is now. */
  async #beginAfresh({ confirmed, end }: SystemIdentity): Promise<void> {
    const { pool, source, term, ledger, parked, directory, dispatcher, registry, webhooks, mirror, observer } = this.#rooms;
    await this.#forget();
    await term.take();
    ledger.repeat(confirmed, end, () => dispatcher.wake());
    this.#storedBefore = await parked.storedBefore(confirmed, end);
    directory.clear();
    for (const entity of DIRECTORY_ENTITIES) {
      for (const row of await source.newest(entity, DIRECTORY_LIMIT)) directory.put(entity, row);
    }
    await observer.observe();
    await webhooks.forgetPassed(allOf(this.#names, countOf(this.#names)).map(({ slot }) => slot));
    if (mirror === null && isFirst(this.#names.shard)) await disableMirrored(pool);
    const synced = await mirror?.sync(new Map(), true);
    await registry.load();
    for (const id of synced?.doubted ?? []) registry.verify(id);
  }

  /** Another instance leads, or another history begins. */
  async #forget(): Promise<void> {
    const { dispatcher, registry, mirror, forget } = this.#rooms;
    dispatcher.suspend();
    registry.forget();
    mirror?.halt();
    forget();
    await dispatcher.abandon();
  }

  /**
   * @throws {StreamError} when the stream would not show every change
   * @throws {PreconditionError} when others share the messages by now
   */
  async #checkStream(): Promise<void> {
    const { pool, finishing } = this.#rooms;
    const state = await inspect(pool, this.#names);
    if (!finishing) refuseLayout(state, this.#names, false);
    const faults = missingFromStream(state, this.#names);
    if (faults.length === 0) return;
    // What was committed since is not in the stream: once it is whole again, every channel is announced.
    await noteResync(pool, this.#names);
    throw new StreamError(`changes are missing from the stream: ${faults.join('; ')}; run slackchat-bridge setup`);
  }

  #reconnecting(reason: string): void {
    const { observer, dispatcher } = this.#rooms;
    dispatcher.suspend();
    observer.state = 'reconnecting';
    observer.reason = reason;
  }
}
