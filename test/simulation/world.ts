import { laneOf } from '../../src/deliver/dispatcher.js';
import type { Client } from '../../src/deliver/sender.js';
import { delay } from '../../src/time.js';
import type { Notification, Webhook } from '../../src/types.js';
import { Chronicler } from '../../torture/chronicler.js';
import { judge } from '../../torture/judge.js';
import { CHANNELS, SimulatedChat, WEBHOOKS, type Deed } from './chat.js';
import type { Owner, VirtualClock } from './clock.js';
import { Instance } from './instance.js';
import { SimulatedReceiver, type Manner } from './receiver.js';
import { DeliveryRows } from './rows.js';

/** One thing that happens. Numbers choose among what is there. */
export type Step =
  | { readonly kind: 'commit'; readonly deeds: readonly Deed[] }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'receiver'; readonly endpoint: number; readonly manner: Manner }
  | { readonly kind: 'database'; readonly manner: DatabaseManner }
  | { readonly kind: 'kill' | 'stop' | 'cut' | 'hang'; readonly ms: number };

/** What becomes of queries: done, refused, done but nobody learns it, or late. */
export const DATABASE_MANNERS = ['well', 'refuses', 'loses answers', 'flaky', 'slow'] as const;
export type DatabaseManner = (typeof DATABASE_MANNERS)[number];

/** Longer than every retry, time-out and pause. */
const QUIET_MS = 120_000;

const ENDPOINTS = {
  'http://message/': { ordering: 'message', conflate: false, maxInFlight: 4 },
  'http://channel/': { ordering: 'channel', conflate: false, maxInFlight: 2 },
  'http://one/': { ordering: 'message', conflate: false, maxInFlight: 1 },
  'http://net/': { ordering: 'message', conflate: true, maxInFlight: 2 },
  'http://net-channel/': { ordering: 'channel', conflate: true, maxInFlight: 2 },
} as const;

/** Chat, WAL, slot, rows and receivers: everything around the bridge's processes. */
export class World {
  readonly chat = new SimulatedChat();
  readonly rows = new DeliveryRows();
  readonly channels: readonly string[] = CHANNELS;
  readonly webhooks: readonly Webhook[];
  database: DatabaseManner = 'well';
  /** of the instance that leads */
  term = '';
  holder: Instance | null = null;
  readonly #clock: VirtualClock;
  readonly #receivers: ReadonlyMap<string, SimulatedReceiver>;
  readonly #faults: string[] = [];
  #confirmed: bigint;
  #count = 0;
  #terms = 0;
  #running: Instance | null = null;

  private constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.#confirmed = this.chat.end;
    this.webhooks = Object.entries(ENDPOINTS).map(([endpoint, { ordering, conflate, maxInFlight }], index) => ({
      id: WEBHOOKS[index] ?? '', endpoint, token: null, secret: null, chatTypes: null, updateTypes: null,
      ordering, conflate, maxInFlight, enabled: true, verified: true, failureNoted: false, awaited: false, deliverFrom: null, completeSince: null,
    }));
    this.#receivers = new Map(this.webhooks.map(({ endpoint, maxInFlight, conflate }) => [endpoint, new SimulatedReceiver(endpoint, maxInFlight, conflate, () => (this.#count += 1))]));
  }

  /** With a process that streams. */
  static async open(clock: VirtualClock): Promise<World> {
    const world = new World(clock);
    world.#leader = await world.#begin();
    await clock.advance(50);
    return world;
  }

  async do(step: Step): Promise<void> {
    switch (step.kind) {
      case 'commit':
        this.chat.transact(step.deeds);
        return this.#clock.go(this.#leader.owner, () => this.#leader.receive());
      case 'wait':
        return this.#clock.advance(step.ms);
      case 'receiver': {
        const receiver = [...this.#receivers.values()][step.endpoint];
        if (receiver !== undefined) receiver.manner = step.manner;
        return;
      }
      case 'database':
        this.database = step.manner;
        return;
      case 'kill':
        this.#leader.kill();
        await this.#clock.advance(step.ms);
        this.#leader = await this.#begin();
        return;
      case 'stop': {
        let stopped = false;
        const leader = this.#leader;
        await this.#clock.go(leader.owner, () => leader.stop().then(() => {
          stopped = true;
        }));
        if (!(await this.#clock.until(() => stopped, 10_000))) this.#faults.push('a process does not stop');
        leader.kill();
        await this.#clock.advance(step.ms);
        this.#leader = await this.#begin();
        return;
      }
      case 'cut': {
        const { owner } = this.#leader;
        await this.#clock.go(owner, () => this.#leader.disconnect());
        await this.#clock.advance(step.ms);
        return this.#clock.go(owner, () => this.#leader.lead());
      }
      case 'hang':
        return this.#hang(step.ms);
    }
  }

  /** All faults end. @returns what does not hold, a line each; empty when everything does */
  async settle(): Promise<readonly string[]> {
    this.database = 'well';
    for (const receiver of this.#receivers.values()) receiver.manner = 'well';
    const quiet = await this.#clock.until(() => this.#confirmed >= this.chat.end && this.rows.rows.length === 0, QUIET_MS);
    const left = quiet ? [] : [`the slot is confirmed up to ${this.#confirmed} of ${this.chat.end}`, ...this.rows.rows.map((row) => `left: ${row}`)];
    this.#leader.kill();
    const chronicler = new Chronicler(Number.POSITIVE_INFINITY);
    chronicler.add(this.chat.commits);
    const history = chronicler.finish();
    const found = this.webhooks.flatMap(({ id, endpoint, ordering, conflate }) => {
      const { requests = [] } = this.#receivers.get(endpoint) ?? {};
      return judge(history, { name: endpoint, webhookId: id, ordering, chatTypes: null, updateTypes: null, conflate, outages: [], requests }, []).map(({ rule, key, detail }) => `${rule} at ${endpoint}: ${String(key)}; ${detail}`);
    });
    return [...this.#faults, ...[...this.#receivers.values()].flatMap(({ faults }) => faults), ...left, ...found];
  }

  connect(endpoint: string, owner: Owner): Client {
    const receiver = this.#receivers.get(endpoint);
    if (receiver === undefined) throw new TypeError(`${endpoint} is no URL`);
    return receiver.client(owner, this.#clock);
  }

  /** A process is about to deliver it: for the receivers' own checks. */
  laid(notification: Notification): void {
    for (const webhook of this.webhooks) this.#receivers.get(webhook.endpoint)?.expect(notification.id, laneOf(webhook, notification), notification.replay === true);
  }

  /** The same, over a session that can fail. What a process has sent off before it is killed may still be done. */
  faulty<A extends readonly unknown[], R>(owner: Owner, work: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
    return async (...args) => {
      const [before, after] = [Math.random(), Math.random()];
      const { database } = this;
      await this.#clock.as(null, async () => delay(database === 'slow' ? 200 + Math.floor(before * 800) : 1 + Math.floor(before * 4)));
      const refused = database === 'refuses' || (database === 'flaky' && before < 0.3) || (owner.dead && before < 0.5);
      const result = refused ? null : await work(...args).then((value) => ({ value }), (error: unknown) => ({ error }));
      // From here on it is the process that goes on, or does not.
      await this.#clock.as(owner, async () => delay(1 + Math.floor(after * 4)));
      if (result === null || database === 'loses answers' || (database === 'flaky' && after < 0.3)) throw new Error('the connection broke');
      if ('error' in result) throw result.error;
      return result.value;
    };
  }

  /** Until it succeeds. */
  async patiently(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await work();
        return;
      } catch {
        await delay(100);
      }
    }
  }

  /** The slot is this one's now. */
  occupy(instance: Instance): { readonly confirmed: bigint; readonly end: bigint } {
    this.holder = instance;
    return { confirmed: this.#confirmed, end: this.chat.end };
  }

  leave(instance: Instance): void {
    if (this.holder === instance) this.holder = null;
  }

  newTerm(): string {
    this.term = String((this.#terms += 1));
    return this.term;
  }

  confirm(lsn: bigint): void {
    if (lsn > this.#confirmed) this.#confirmed = lsn;
  }

  get #leader(): Instance {
    if (this.#running === null) throw new Error('no process has begun');
    return this.#running;
  }

  set #leader(instance: Instance) {
    this.#running = instance;
  }

  async #begin(): Promise<Instance> {
    const owner = { frozen: false, dead: false };
    const instance = this.#clock.as(owner, () => new Instance(this, owner));
    await this.#clock.go(owner, () => instance.lead());
    return instance;
  }

  /** The leader hangs and loses the slot; another one leads; the first goes on, and finds out a little later. */
  async #hang(ms: number): Promise<void> {
    const hung = this.#leader;
    hung.owner.frozen = true;
    this.leave(hung);
    this.#leader = await this.#begin();
    await this.#clock.advance(ms);
    hung.owner.frozen = false;
    // Its stream is broken; it hears that with the first of what the network has for it.
    await this.#clock.advance(5);
    await this.#clock.go(hung.owner, () => hung.disconnect());
    await this.#clock.advance(100);
    await this.#clock.go(hung.owner, () => void hung.standBy());
    await this.#clock.advance(1_000);
    hung.kill();
  }
}
