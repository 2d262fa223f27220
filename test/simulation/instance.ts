import { Allowance } from '../../src/deliver/allowance.js';
import { Dispatcher } from '../../src/deliver/dispatcher.js';
import type { EndpointEvents } from '../../src/deliver/endpoint-events.js';
import { LateRequests } from '../../src/deliver/late.js';
import type { Parking } from '../../src/deliver/parking.js';
import { Directory } from '../../src/shape/directory.js';
import { Rendering } from '../../src/shape/render/rendering.js';
import { Shaper, type Output } from '../../src/shape/shaper.js';
import { delay } from '../../src/time.js';
import { Inbox } from '../../src/wal/inbox.js';
import { Ledger, type Entry } from '../../src/wal/ledger.js';
import type { Owner } from './clock.js';
import type { World } from './world.js';

const STATUS_MS = 75;
const BATCH = 3;
const AT_ONCE = 2;
const MEGABYTE = 1024 * 1024;
const nothing = (): void => undefined;
const EVENTS: EndpointEvents = { attempted: nothing, parked: nothing, dead: nothing, collapsed: nothing, failing: nothing, recovered: nothing, gone: nothing, storeFault: nothing };

/** One process: the bridge's rooms from the inbox on, put together as `bridge.ts` does, on simulated ground. */
export class Instance {
  readonly owner: Owner;
  readonly #world: World;
  readonly #ledger = new Ledger();
  readonly #inbox = new Inbox(this.#ledger);
  readonly #dispatcher: Dispatcher;
  readonly #late: LateRequests;
  readonly #shaper: Shaper<Entry>;
  readonly #stop = new AbortController();
  #generation = 0;
  #term = '';
  #storedBefore = 0n;
  /** its last attempt to lead came to its end */
  #led = false;
  #attempts = 0;
  #leading: Promise<void> = Promise.resolve();
  /** how much of the WAL it has been sent since it is connected; null: it is not */
  #sent: number | null = null;
  #receiving = false;
  #looped: Promise<void> = Promise.resolve();

  constructor(world: World, owner: Owner) {
    this.#world = world;
    this.owner = owner;
    const timing = { baseMs: 50, maxMs: 1_500, maxAgeMs: 1e12 };
    const connect = (endpoint: string): ReturnType<World['connect']> => world.connect(endpoint, owner);
    const options = { timing, timeoutMs: 5_000, connect, allowance: new Allowance(16 * MEGABYTE, MEGABYTE, MEGABYTE), token: 't', userAgent: 'u', shard: null, stream: { repeatedBefore: () => this.#ledger.repeating.to, storedBefore: () => this.#storedBefore, next: () => this.#ledger.next } };
    this.#dispatcher = new Dispatcher(options, this.#parking(), EVENTS, MEGABYTE);
    this.#late = new LateRequests(this.#dispatcher);
    const directory = new Directory(async (entity) => world.chat.lookup(entity), async () => [], 1_000);
    const source = {
      read: world.faulty(owner, async (ids: readonly string[]) => world.chat.read(ids)),
      // Large enough for some of what a transaction touches to be read later than the rest.
      sizes: world.faulty(owner, async (ids: readonly string[]) => ids.map((id) => [id, 1_000_000] as const)),
      channelIds: async (after: string | null) => world.channels.filter((id) => after === null || id > after),
    };
    this.#shaper = new Shaper<Entry>(source, directory, { settleMs: 250, storedBefore: () => this.#storedBefore, channelIdFormat: 'uuid', maxPayloadBytes: MEGABYTE, channelRequests: false, shard: null, rendering: new Rendering(async () => null, 1_000_000), onAnomaly: nothing });
    setInterval(() => this.#status(), STATUS_MS);
    this.#looped = this.#loop();
  }

  /** It leads, and is sent what the slot has not confirmed. */
  get streams(): boolean {
    return this.#sent !== null;
  }

  /** Killed: nothing of it goes on. */
  kill(): void {
    this.owner.dead = true;
    this.#world.leave(this);
  }

  /** Takes the slot, as follower and leadership do: one attempt after another, the last counts. */
  lead(): void {
    const attempt = (this.#attempts += 1);
    this.#leading = this.#leading.then(async () => this.#lead(attempt));
  }

  async #lead(attempt: number): Promise<void> {
    // Another one streams: it stands by.
    if (this.#attempts !== attempt || (this.#world.holder !== null && this.#world.holder !== this)) return;
    const fresh = !this.#led || this.#term !== this.#world.term;
    const { confirmed, end } = this.#world.occupy(this);
    if (fresh) {
      this.#led = false;
      await this.#forget();
      this.#term = this.#world.newTerm();
      this.#ledger.reset();
      this.#inbox.reset();
      this.#ledger.repeat(confirmed, end, () => this.#dispatcher.wake());
      this.#storedBefore = this.#world.rows.storedBefore(confirmed, end);
      await this.#world.patiently(async () => this.#dispatcher.apply(this.#world.webhooks));
    }
    if (this.#attempts !== attempt || this.#world.holder !== this) return;
    this.#led = true;
    this.#sent = this.#world.chat.wal.findIndex(({ endLsn }) => endLsn > confirmed);
    if (this.#sent === -1) this.#sent = this.#world.chat.wal.length;
    this.#dispatcher.resume();
    this.#inbox.open();
    this.receive();
  }

  /** The stream broke: it may have lost the slot as well. */
  disconnect(): void {
    this.#attempts += 1;
    this.#sent = null;
    this.#dispatcher.suspend();
    this.#world.leave(this);
  }

  /** Another instance streams from the slot. */
  async standBy(): Promise<void> {
    this.#ledger.reset();
    this.#inbox.reset();
    this.#led = false;
    await this.#forget();
  }

  /** What is in the WAL by now comes, a little at a time. */
  receive(): void {
    const sent = this.#sent;
    if (sent === null || this.#receiving || sent >= this.#world.chat.wal.length) return;
    this.#receiving = true;
    setTimeout(() => {
      this.#receiving = false;
      if (this.#sent === null) return;
      for (const transaction of this.#world.chat.wal.slice(this.#sent, this.#sent + AT_ONCE)) {
        this.#inbox.push(transaction);
        this.#sent += 1;
      }
      this.receive();
    }, Math.floor(Math.random() * 15));
  }

  /** SIGTERM: delivers or parks what it has, and says what is done. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#looped;
    this.#late.reset();
    await this.#dispatcher.drain(1_000);
    this.#status();
    this.kill();
  }

  #status(): void {
    // Without anything of ours in between, the server's keepalive says how far it has come.
    if (this.#sent === this.#world.chat.wal.length) this.#ledger.idle(this.#world.chat.end);
    if (this.#sent !== null && this.#world.holder === this) this.#world.confirm(this.#ledger.confirmed);
  }

  async #forget(): Promise<void> {
    this.#generation += 1;
    this.#dispatcher.suspend();
    this.#shaper.reset();
    this.#late.reset();
    await this.#dispatcher.abandon();
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stop;
    signal.addEventListener('abort', () => this.#inbox.wake(), { once: true });
    while (!signal.aborted) {
      await this.#dispatcher.room(signal);
      const due = this.#shaper.nextDueAt;
      const timer = due === null ? null : setTimeout(() => this.#inbox.wake(), Math.max(0, due - performance.now()));
      const arrivals = signal.aborted ? [] : await this.#inbox.take(BATCH);
      if (timer !== null) clearTimeout(timer);
      const generation = this.#generation;
      const shaping = this.#shaper.take(arrivals, '7');
      while (!shaping.done && generation === this.#generation) {
        try {
          const outputs = await this.#shaper.shape(shaping, signal.aborted ? Number.POSITIVE_INFINITY : performance.now());
          if (generation === this.#generation) for (const output of outputs) this.#put(output);
        } catch {
          if (signal.aborted) return;
          await delay(50);
        }
      }
      if (generation === this.#generation) for (const { entry } of arrivals) this.#ledger.close(entry);
    }
  }

  #put(output: Output<Entry>): void {
    const { entry } = output;
    if (output.kind === 'notify') {
      entry.pending += 1;
      this.#world.laid(output.notification);
      this.#late.deliver(output.notification, () => this.#ledger.settle(entry));
    } else if (output.kind === 'request') {
      entry.pending += 1;
      const about = output.notification({ json: 'null' });
      this.#world.laid(about);
      const made = delay(Math.floor(Math.random() * 300)).then(() => output.notification({ json: '"{}"' }));
      this.#late.request(about, made, () => this.#ledger.settle(entry));
    } else if (output.kind === 'hold') entry.pending += 1;
    else if (output.kind === 'release') this.#ledger.settle(entry);
  }

  #parking(): Parking {
    const rows = this.#world.rows.parking(() => this.#ledger.repeating);
    const fenced = <A extends readonly unknown[], R>(work: (...args: A) => Promise<R>): ((...args: A) => Promise<R>) => this.#world.faulty(this.owner, async (...args: A) => {
      if (this.#term !== this.#world.term) throw new Error('another instance has taken over');
      return work(...args);
    });
    return {
      park: fenced(async (webhookId, notes, remove) => rows.park(webhookId, notes, remove)),
      waiting: fenced(async (webhookId, of) => rows.waiting(webhookId, of)),
      due: fenced(async (...args) => rows.due(...args)),
      finish: fenced(async (webhookId, outcomes) => rows.finish(webhookId, outcomes)),
      expire: fenced(async (...args) => rows.expire(...args)),
      nextDueAt: fenced(async (webhookId, except) => rows.nextDueAt(webhookId, except)),
      holding: fenced(async (webhookIds) => rows.holding(webhookIds)),
      lanes: fenced(async (webhookId, limit) => rows.lanes(webhookId, limit)),
    };
  }
}
