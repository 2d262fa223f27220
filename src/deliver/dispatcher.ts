import { isDeepStrictEqual } from 'node:util';
import type { Lsn } from '../lsn.js';
import { delay } from '../time.js';
import type { Notification, Webhook } from '../types.js';
import { SHARED_FROM } from './body.js';
import { Endpoint } from './endpoint.js';
import type { EndpointEvents } from './endpoint-events.js';
import type { EndpointOptions } from './endpoint-options.js';
import type { Parking } from './parking.js';
import { Permit, TICK_MS } from './permit.js';

/** Twice of what may be under way waits for a busy endpoint, so that nothing waits for longer than two answers take; … */
const BUSY_TIMES = 2;
/** … so much at the least, because what waits in memory collapses without rows (`conflate`), and what comes behind it may be for others; … */
const LEAST_WAITING = 16;
/** … and no more than this: what passes through is young enough for the cheap collections (38 µs of CPU a delivery with 2,000, 32 with 200). */
const MOST_WAITING = 128;
/** More endpoints than four of these may have fewer waiting each: one process sends to all, and what waits for longer than two seconds is parked. */
const WAITING_TOGETHER = 4 * MOST_WAITING;
/** One endpoint has so many waiting in memory: nothing more is taken in until it has fewer, or is parked, though others wait for it. */
const QUEUE_LIMIT = 2_000;
/** Nothing has come back from such an endpoint for so long while others wait for it: what waits there is parked. */
const STUCK_MS = 250;
const SWEEP_MS = 250;
/**
 * By which the endpoints' clocks go on while this process has no time to spare, or stood still: what waits then waits
 * for it and not for them, and to park it as well would take more time than to send it.
 */
const OVERLOADED_MS = SWEEP_MS / 4;
/** A notification's own objects, beside its text; and those of one endpoint that has it to deliver. */
const OVERHEAD_BYTES = 512;
const DELIVERY_BYTES = 320;
/** Of so many endpoints it is asked at the start in which lanes something waits for them. */
const ASK_EACH = 100;
/** So many lanes are known by name, of one endpoint and of all together, but for a few of each. */
const LANES_OF_ONE = 1_000;
const LANES_OF_ALL = 50_000;
const LANES_OF_EACH = 10;

/** Fans notifications out to the endpoints that want them, and knows when all have them. */
export class Dispatcher {
  readonly #options: EndpointOptions;
  readonly #parking: Parking;
  readonly #events: EndpointEvents;
  readonly #maxBytes: number;
  readonly #overloaded: () => boolean;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #permit = new Permit();
  readonly #sweeper: NodeJS.Timeout;
  readonly #ticker: NodeJS.Timeout;
  #bytes = 0;
  /** how many active endpoints there were of late */
  #active = 1;
  #waiters: (() => void)[] = [];

  /**
   * Nothing is sent before `resume`.
   * @param overloaded this process has had no time to spare since that was asked last
   */
  constructor(options: Omit<EndpointOptions, 'permit' | 'onRun'>, parking: Parking, events: EndpointEvents, maxBytes: number, overloaded: () => boolean = () => false) {
    this.#options = { ...options, permit: this.#permit, onRun: (endpoint) => this.#ran(endpoint) };
    this.#parking = parking;
    this.#events = events;
    this.#maxBytes = maxBytes;
    this.#overloaded = overloaded;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#ticker = setInterval(() => {
      if (this.#permit.tick(performance.now())) this.wake();
    }, TICK_MS);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get endpoints(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  endpoint(webhookId: string): Endpoint | undefined {
    return this.#endpoints.get(webhookId);
  }

  /** Makes the endpoints what the table says. */
  async apply(webhooks: readonly Webhook[]): Promise<void> {
    const ids = new Set(webhooks.map((webhook) => webhook.id));
    for (const [id, endpoint] of this.#endpoints) {
      if (ids.has(id)) continue;
      this.#endpoints.delete(id);
      await endpoint.abandon();
    }
    const fresh = webhooks.filter(({ id }) => !this.#endpoints.has(id)).map(({ id }) => id);
    const holding: ReadonlySet<string> = fresh.length === 0 ? new Set() : await this.#parking.holding(fresh);
    for (const webhook of webhooks) {
      const known = this.#endpoints.get(webhook.id);
      if (known !== undefined) {
        if (!isDeepStrictEqual(known.webhook, webhook)) known.update(webhook);
        continue;
      }
      // Of many it is not asked before the first is sent: until it is known, all of their lanes count as parked.
      const lanes = !holding.has(webhook.id) ? [] : holding.size > ASK_EACH ? null : await this.#parking.lanes(webhook.id, this.#lanesLimit(webhooks.length));
      this.#endpoints.set(webhook.id, new Endpoint(webhook, this.#options, this.#parking, this.#events, lanes, () => this.#lanesLimit(this.#endpoints.size)));
    }
  }

  /**
   * @param release called once every endpoint that wants it has it, delivered or parked
   * @param only to these
   * @param counted false: its text is bounded elsewhere, and keeps nothing else out
   */
  deliver(notification: Notification, release: () => void, only: (webhook: Webhook) => boolean = everyone, counted = true): void {
    const bytes = counted ? footprint(notification.body) : OVERHEAD_BYTES;
    this.#bytes += bytes;
    // One more until all have been asked, because some let go at once.
    let pending = 1;
    const settled = (): void => {
      pending -= 1;
      this.#bytes -= DELIVERY_BYTES;
      if (pending > 0) return;
      this.#bytes -= bytes;
      release();
      this.#wakeWaiters();
    };
    const { id: notificationId, lsn, seq, channelId, messageId, updateType, body, foretold = false, dead, replay = false } = notification;
    const note = { notificationId, lsn, seq, channelId, messageId, updateType, repeated: foretold, replay, body };
    // How long a replay takes says nothing of what is live.
    const committedAt = replay ? null : notification.committedAt;
    this.#bytes += DELIVERY_BYTES;
    for (const endpoint of this.#endpoints.values()) {
      if (!endpoint.listening || !wants(endpoint.webhook, notification) || !only(endpoint.webhook)) continue;
      pending += 1;
      this.#bytes += DELIVERY_BYTES;
      const lane = laneOf(endpoint.webhook, notification);
      if (dead === undefined) endpoint.accept(note, lane, committedAt, settled);
      else endpoint.refuse(note, lane, committedAt, settled, dead);
    }
    settled();
  }

  /** Counts what is kept for later as in memory. @returns to be called when it is delivered, or dropped */
  keep(notification: Notification): () => void {
    const bytes = footprint(notification.body);
    this.#bytes += bytes;
    return () => {
      this.#bytes -= bytes;
      this.#wakeWaiters();
    };
  }

  /** Nothing more is to be taken in before there is `room`. */
  get full(): boolean {
    const { stuck, busy, content } = this.#state();
    return stuck || (busy && !content);
  }

  /** Resolves when more may be taken in: once an endpoint has little left, so that it is not asked for each delivery. */
  async room(signal: AbortSignal): Promise<void> {
    while (!this.#hasRoom() && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#waiters.push(done);
        signal.addEventListener('abort', done);
      });
    }
  }

  /** Sends what is in memory until the deadline, then parks the rest. */
  async drain(deadlineMs: number): Promise<void> {
    const deadline = Date.now() + deadlineMs;
    const all = [...this.#endpoints.values()];
    for (const endpoint of all) endpoint.drain();
    // Half of the time is for sending; parking what is left must fit in as well.
    while (Date.now() < deadline - deadlineMs / 2 && all.some((endpoint) => endpoint.unsettled > 0 || endpoint.inFlight > 0)) await delay(10);
    const closed = new AbortController();
    await Promise.race([Promise.all(all.map((endpoint) => endpoint.close())), delay(Math.max(0, deadline - Date.now()), closed.signal)]);
    closed.abort();
    for (const endpoint of all) endpoint.halt();
  }

  /** Forgets everything in memory: another instance has it now. */
  async abandon(): Promise<void> {
    const all = [...this.#endpoints.values()];
    this.#endpoints.clear();
    await Promise.all(all.map((endpoint) => endpoint.abandon()));
  }

  /** This instance leads: requests may be begun. */
  resume(): void {
    this.#permit.give(performance.now());
    this.wake();
  }

  /** Another one may lead by now: no request is begun. What is under way has its outcome. */
  suspend(): void {
    this.#permit.withdraw();
  }

  /** Something that waited for the endpoint ('*': for any) is gone, and was not delivered. */
  removed(webhookId: string, next: Lsn): void {
    for (const endpoint of this.#endpoints.values()) {
      if (webhookId !== '*' && webhookId !== endpoint.webhook.id) continue;
      endpoint.rowsRemoved();
      if (endpoint.listening) endpoint.completeness.begin(next);
    }
  }

  /** More may be sent than before, or parked deliveries have become due. */
  wake(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.lookAgain();
  }

  close(): void {
    clearInterval(this.#sweeper);
    clearInterval(this.#ticker);
  }

  get #overfull(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  #lanesLimit(endpoints: number): number {
    return Math.min(LANES_OF_ONE, Math.max(LANES_OF_EACH, Math.floor(LANES_OF_ALL / Math.max(1, endpoints))));
  }

  /** stuck: nothing can be taken in for any of them; of active ones, content: has enough, hungry: has little left */
  #state(): { readonly stuck: boolean; readonly busy: boolean; readonly content: boolean; readonly hungry: boolean } {
    let [stuck, busy, content, hungry] = [this.#overfull, false, false, false];
    for (const endpoint of this.#endpoints.values()) {
      stuck ||= endpoint.live > QUEUE_LIMIT;
      const enough = this.#enough(endpoint);
      if (endpoint.live > enough) busy = true;
      else if (endpoint.active) {
        content = true;
        hungry ||= endpoint.live <= enough / 2;
      }
    }
    return { stuck, busy, content, hungry };
  }

  /** So many may wait for it. */
  #enough({ webhook }: Pick<Endpoint, 'webhook'>): number {
    return Math.min(Math.max(BUSY_TIMES * webhook.maxInFlight, LEAST_WAITING), MOST_WAITING, Math.ceil(WAITING_TOGETHER / this.#active));
  }

  #ran(endpoint: Pick<Endpoint, 'live' | 'webhook'>): void {
    if (this.#waiters.length > 0 && endpoint.live <= this.#enough(endpoint) / 2) this.#wakeWaiters();
  }

  #hasRoom(): boolean {
    const { stuck, busy, hungry } = this.#state();
    return !stuck && (!busy || hungry);
  }

  #sweep(): void {
    const now = Date.now();
    const ms = this.#overloaded() ? OVERLOADED_MS : SWEEP_MS;
    const all = [...this.#endpoints.values()];
    const active = all.filter((endpoint) => endpoint.active);
    this.#active = Math.max(1, active.length);
    const othersWait = active.some((endpoint) => endpoint.live <= this.#enough(endpoint));
    for (const endpoint of all) {
      endpoint.sweep(ms);
      // Rather rows than memory. What answers, if slowly, is parked when it has waited for long (`sweep`).
      const inTheWay = this.#overfull ? endpoint.queued > 0 && !endpoint.crowdedOut : othersWait && endpoint.live > QUEUE_LIMIT;
      if (inTheWay && now - endpoint.answeredAt > STUCK_MS) endpoint.relieve();
    }
    this.#wakeWaiters();
  }

  #wakeWaiters(): void {
    if (this.#waiters.length === 0 || !this.#hasRoom()) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}

const everyone = (): boolean => true;

/** In memory, about: its text, of up to two bytes a character, and where endpoints share the bytes of it, these. */
function footprint(body: string): number {
  return body.length * (body.length < SHARED_FROM ? 2 : 5) + OVERHEAD_BYTES;
}

/** Whether this endpoint asked for such a notification. */
export function wants(webhook: Webhook, notification: Notification): boolean {
  if (webhook.deliverFrom !== null && notification.lsn < webhook.deliverFrom) return false;
  if (notification.webhookIds?.includes(webhook.id) === false) return false;
  // A chat type that is not known any more may be one of these: rather told too much than lost.
  if (webhook.chatTypes !== null && notification.chatType !== null && !webhook.chatTypes.includes(notification.chatType)) return false;
  return notification.updateType === null || notification.replay === true || webhook.updateTypes === null || webhook.updateTypes.includes(notification.updateType);
}

/** What keeps its order: a message's deliveries, or a channel's. */
export function laneOf(webhook: Webhook, notification: Notification): string {
  return webhook.ordering === 'channel' || notification.messageId === null ? `channel:${notification.channelId}` : `message:${notification.messageId}`;
}
