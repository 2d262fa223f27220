import type { Dispatcher } from './deliver/dispatcher.js';
import type { LateRequests } from './deliver/late.js';
import type { Registry } from './deliver/registry.js';
import { errorMessage } from './errors.js';
import type { Garbage } from './garbage.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import type { Mirror } from './mirror.js';
import type { Observer } from './observer.js';
import type { Resolver } from './resolver.js';
import { savesOf } from './saves.js';
import type { ChannelData } from './shape/channel-data.js';
import type { RenderThread } from './shape/render/thread.js';
import type { Output, Shaper } from './shape/shaper.js';
import type { Shaping } from './shape/work.js';
import type { Source } from './store/source.js';
import { delay } from './time.js';
import type { Arrival, Inbox } from './wal/inbox.js';
import type { Entry, Ledger } from './wal/ledger.js';

const BATCH = 128;

/** What it can be at for long, for people. */
const WAITS_FOR_ROOM = 'the bridge waits for room in memory (MAX_BUFFER_MB)';
const WAITS_FOR_VISIBILITY = 'the bridge waits until a commit is visible to other sessions (one that waits for a synchronous standby is not)';
const SHAPES = 'the bridge reads what belongs to it';

export interface IntakeRooms {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly inbox: Inbox;
  readonly ledger: Ledger;
  readonly source: Source;
  readonly shaper: Shaper<Entry>;
  readonly thread: RenderThread;
  readonly channelData: ChannelData;
  readonly dispatcher: Dispatcher;
  readonly late: LateRequests;
  readonly registry: Registry;
  readonly mirror: Mirror | null;
  readonly observer: Observer;
  readonly resolver: Resolver | null;
  readonly garbage: Garbage;
  /** the messages are shared out among several instances */
  readonly shared: boolean;
  readonly systemId: () => string;
}

/** What was taken in one turn, and how far its shaping has come, a retry after a fault included. */
interface Pass {
  readonly arrivals: readonly Arrival[];
  shaping: Shaping<Entry> | null;
}

/** The one loop: transactions in, notifications out. */
export class Intake {
  readonly #rooms: IntakeRooms;
  #doing: string | null = null;
  #done = 0;
  /** goes up when what is in memory belongs to a history that was left */
  #generation = 0;

  constructor(rooms: IntakeRooms) {
    this.#rooms = rooms;
  }

  /** What it is at; null: it waits for transactions. */
  get doing(): string | null {
    return this.#doing;
  }

  /** Pieces of work that are finished. */
  get done(): number {
    return this.#done;
  }

  /** Another history begins, or another instance goes on with this one. */
  forget(): void {
    const { shaper, late, channelData } = this.#rooms;
    this.#generation += 1;
    shaper.reset();
    late.reset();
    channelData.cancel();
  }

  /** Transactions in, notifications out; a fault is retried with the same transactions, so none is skipped. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => {
      this.#rooms.inbox.wake();
      // What is being rendered is not confirmed: it is told after the next start.
      this.#rooms.thread.close();
    }, { once: true });
    while (!signal.aborted) {
      this.#doing = WAITS_FOR_ROOM;
      await this.#rooms.dispatcher.room(signal);
      this.#doing = null;
      const timer = this.#wakeWhenDue();
      const arrivals = signal.aborted ? [] : await this.#rooms.inbox.take(BATCH);
      if (timer !== null) clearTimeout(timer);
      const generation = this.#generation;
      const pass: Pass = { arrivals, shaping: null };
      for (let pause = 50; generation === this.#generation; pause = Math.min(pause * 2, 5_000)) {
        try {
          await this.#pass(pass, generation, signal);
          break;
        } catch (error) {
          if (signal.aborted) return;
          this.#rooms.log.error({ reason: errorMessage(error), retryInMs: pause }, 'a transaction cannot be shaped yet; nothing is skipped');
          this.#rooms.observer.stalls.set('shaping', `a transaction cannot be shaped: ${errorMessage(error)}`);
          await delay(pause, signal);
        }
      }
      this.#rooms.observer.stalls.delete('shaping');
    }
  }

  /** @param generation of the arrivals: when another history begins meanwhile, they come again, to the endpoints as they are then */
  async #pass(pass: Pass, generation: number, signal: AbortSignal): Promise<void> {
    const { arrivals } = pass;
    // Nobody is told of a commit, and nothing is read on behalf of it, before others can see it.
    if (arrivals.length > 0) {
      const xids = arrivals.map(({ transaction }) => transaction.xid);
      this.#doing = WAITS_FOR_VISIBILITY;
      if (!this.#rooms.source.isVisible(xids)) await this.#rooms.source.awaitVisible(xids, signal);
      // Stopped while it waited: it is not confirmed, and told after the next start.
      if (signal.aborted || generation !== this.#generation) return;
    }
    this.#doing = SHAPES;
    const saves = savesOf(arrivals.map(({ transaction }) => transaction), this.#rooms.shared);
    if (saves !== null) {
      const synced = await this.#rooms.mirror?.sync(saves.app, false);
      await this.#rooms.registry.saved(new Set([...saves.own, ...(synced?.challenge ?? [])]));
      for (const id of synced?.doubted ?? []) this.#rooms.registry.verify(id);
    }
    if (generation !== this.#generation) return;
    pass.shaping ??= this.#rooms.shaper.take(arrivals, this.#rooms.systemId());
    while (!pass.shaping.done) {
      // When stopping, what waits for the application's own UPDATE goes out as it is.
      const outputs = await this.#rooms.shaper.shape(pass.shaping, signal.aborted ? Number.POSITIVE_INFINITY : performance.now());
      if (generation !== this.#generation) return;
      for (const output of outputs) {
        if (this.#rooms.dispatcher.full) await this.#rooms.dispatcher.room(signal);
        if (generation !== this.#generation) return;
        this.#put(output);
        this.#done += 1;
      }
      if (!pass.shaping.done) await this.#rooms.dispatcher.room(signal);
    }
    for (const { entry, transaction } of arrivals) {
      this.#rooms.ledger.close(entry);
      this.#rooms.garbage.add(transaction.bytes / transaction.changes.length);
    }
    this.#done += 1;
    this.#rooms.metrics.transactions.inc(arrivals.length);
  }

  #put(output: Output<Entry>): void {
    const { entry } = output;
    switch (output.kind) {
      case 'notify':
        this.#rooms.metrics.notifications.add(output.notification.replay === true ? 'replay' : (output.notification.updateType ?? 'channel'));
        entry.pending += 1;
        this.#rooms.late.deliver(output.notification, () => this.#rooms.ledger.settle(entry));
        return;
      case 'request': {
        this.#rooms.metrics.notifications.add('channel');
        entry.pending += 1;
        const { made, done } = this.#rooms.channelData.make(output.channelId);
        const notification = made.then((data) => (data === null ? null : output.notification(data)));
        this.#rooms.late.request(output.notification({ json: 'null' }), notification, () => {
          done();
          this.#rooms.ledger.settle(entry);
        });
        return;
      }
      case 'hold':
        entry.pending += 1;
        return;
      case 'release':
        this.#rooms.ledger.settle(entry);
        return;
      case 'control': {
        const { verify, retry, removed } = output.request;
        if (typeof removed === 'string') this.#removed(removed, entry);
        if (typeof verify === 'string') this.#rooms.registry.verify(verify);
        if (typeof retry === 'string') this.#rooms.dispatcher.endpoint(retry)?.wake();
      }
    }
  }

  /** Not confirmed before what is noted for the next process holds with it. */
  #removed(webhookId: string, entry: Entry): void {
    const { dispatcher, ledger, resolver } = this.#rooms;
    dispatcher.removed(webhookId, ledger.next);
    if (resolver === null) return;
    entry.pending += 1;
    resolver.forget(() => ledger.settle(entry));
  }

  #wakeWhenDue(): NodeJS.Timeout | null {
    const due = this.#rooms.shaper.nextDueAt;
    return due === null ? null : setTimeout(() => this.#rooms.inbox.wake(), Math.max(0, due - performance.now()));
  }
}
