import type { Outcome, Webhook } from '../types.js';
import type { Share } from './allowance.js';
import { Bag } from './bag.js';
import { Backlog } from './backlog.js';
import type { BacklogHost } from './backlog-host.js';
import { Completeness } from './completeness.js';
import { mergeInto } from './conflate.js';
import type { EndpointEvents } from './endpoint-events.js';
import type { EndpointOptions } from './endpoint-options.js';
import { footprint, fresh, settle, type Delivery, type Note } from './delivery.js';
import { Lanes } from './lanes.js';
import type { Parking } from './parking.js';
import { Breaker, decideRetry, type Failed } from './policy.js';
import { Sender } from './sender.js';

/** Unsettled for longer: parked, so that it holds neither the slot nor the memory. By the endpoint's own clock. */
const SLOW_MS = 2_000;

/**
 * One endpoint: sends what its lanes allow and parks what must wait. Nothing is written for what
 * succeeds at first.
 */
export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #events: EndpointEvents;
  readonly #breaker: Breaker;
  readonly #backlog: Backlog;
  readonly #lanes = new Lanes<Delivery>(({ note }) => note.replay);
  readonly completeness: Completeness;
  /** from the stream and under way, parked meanwhile or not; one at the most in each lane */
  readonly #direct = new Bag<Delivery>();
  readonly #sender: Sender;
  readonly #share: Share;
  #webhook: Webhook;
  #inFlight = 0;
  #answeredAt = Date.now();
  #turn = 0;
  /** milliseconds; goes on with each sweep */
  #clock = 0;
  #closed = false;
  /** it answered 410 and has not been enabled again */
  #gone = false;

  /**
   * @param parkedLanes in which something is parked; null: too many to name
   * @param lanesLimit so many are known by name; beyond, all lanes count as parked
   */
  constructor(webhook: Webhook, options: EndpointOptions, parking: Parking, events: EndpointEvents, parkedLanes: readonly string[] | null, lanesLimit = () => 1_000) {
    this.#webhook = webhook;
    this.#options = options;
    this.#events = events;
    this.#breaker = new Breaker(options.timing);
    this.completeness = new Completeness(options.shard);
    const host: BacklogHost = {
      allowed: () => this.#allowed,
      allowedAt: () => this.#breaker.probeAt,
      probing: () => this.#breaker.open,
      busyLanes: () => this.#direct.items().map((delivery) => delivery.lane),
      conflates: () => this.#webhook.conflate,
      busy: () => this.#lanes.live > 0,
      lanesLimit,
      onDue: () => this.#run(),
      onParked: (count) => this.#events.parked(this.#webhook, count),
      onDead: (count) => this.#events.dead(this.#webhook, count),
      onCollapsed: (count) => this.#events.collapsed(this.#webhook, count),
      onStoreFault: (reason) => this.#events.storeFault(this.#webhook, reason),
    };
    this.#share = options.allowance.share();
    this.#share.onTurn = () => this.#run();
    this.#share.nextBytes = () => this.#nextBytes();
    this.#backlog = new Backlog(webhook.id, parking, host, options.timing.maxAgeMs, this.#share, parkedLanes);
    this.#sender = new Sender(options, webhook);
    this.completeness.changed(null, webhook, this.listening, options.stream.next());
    this.#backlog.wake(false);
  }

  get webhook(): Webhook {
    return this.#webhook;
  }

  /** Notifications are taken: to be sent, or stored until a challenge is decided. */
  get listening(): boolean {
    return this.active || (this.#webhook.enabled && this.#webhook.awaited && !this.#closed);
  }

  /** Notifications go there. */
  get active(): boolean {
    return this.#webhook.enabled && this.#webhook.verified && !this.#closed;
  }

  get failing(): boolean {
    return this.#breaker.open;
  }

  /** When the next request may go to one that fails, milliseconds since 1970; null: it does not fail. */
  get probeAt(): number | null {
    return this.#breaker.probeAt;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** When an attempt last came to its end; before the first, when the endpoint was made. Milliseconds since 1970. */
  get answeredAt(): number {
    return this.#answeredAt;
  }

  /** Waiting in memory to be sent. */
  get queued(): number {
    return this.#lanes.queued;
  }

  /** Of these, what does not yield. */
  get live(): number {
    return this.#lanes.live;
  }

  /** In memory and neither delivered nor parked. */
  get unsettled(): number {
    return this.#lanes.queued + this.#direct.items().filter((delivery) => !delivery.stored).length + this.#backlog.pending;
  }

  /** The row was changed, or a verification ended. */
  update(webhook: Webhook): void {
    const before = this.#webhook;
    this.#webhook = webhook;
    if (webhook.enabled) this.#gone = false;
    this.#sender.change(webhook);
    this.completeness.changed(before, webhook, this.listening, this.#options.stream.next());
    if (!this.active) this.relieve();
    this.lookAgain();
  }

  /** @param release called once it is delivered, parked, or wanted no more */
  accept(note: Note, lane: string, committedAt: number | null, release: () => void): void {
    const repeated = this.#webhook.conflate && note.lsn < this.#options.stream.repeatedBefore();
    const delivery = fresh(repeated ? { ...note, repeated } : note, lane, committedAt, release, this.#clock, null);
    if (this.#closed) {
      settle(delivery);
    } else if (this.#backlog.holds(lane) || repeated || note.lsn < this.#options.stream.storedBefore()) {
      // Its row can be in another lane: since it was written the message may have moved to another channel.
      this.#park(delivery);
    } else {
      const waiting = this.#webhook.conflate ? this.#lanes.waiting(lane) : [];
      const merged = waiting.length === 0 ? null : mergeInto(waiting, delivery);
      if (merged === null) this.#lanes.push(lane, delivery);
      else {
        this.#events.collapsed(this.#webhook, waiting.length + 1 - merged.length);
        this.#lanes.replace(lane, merged);
      }
      this.#run();
    }
  }

  /** It is not to be sent: it stands among the dead, with the reason. Nothing waits for it. */
  refuse(note: Note, lane: string, committedAt: number | null, release: () => void, reason: string): void {
    const delivery = fresh(note, lane, committedAt, release, this.#clock, reason);
    if (this.#closed) settle(delivery);
    else this.#backlog.add(delivery);
  }

  /** The rows were changed by hand. What is in memory goes behind them. */
  wake(): void {
    this.relieve();
    this.#backlog.wake(true);
  }

  /** Rows were removed by hand. */
  rowsRemoved(): void {
    this.#backlog.rowsRemoved();
  }

  /** More may be sent than before, or parked ones have become due. */
  lookAgain(): void {
    this.#run();
    this.#backlog.wake(false);
  }

  /** It answers, and waits for nothing but room that requests to others have: parking would cost more than waiting. */
  get crowdedOut(): boolean {
    return this.#share.crowdedOut;
  }

  /**
   * Parks what has been on its way for too long. To be called a few times a second.
   * @param ms by which the endpoint's clock goes on
   */
  sweep(ms: number): void {
    this.#clock += ms;
    if (this.#inFlight === 0 && this.#lanes.queued === 0 && this.#backlog.peek() === undefined) return;
    this.#share.look(ms);
    for (const delivery of this.#direct.items()) {
      if (delivery.stored || this.#clock - delivery.sentAt < SLOW_MS) continue;
      this.#parkUnderWay(delivery);
      this.#parkBehind(delivery.lane);
    }
    // Others had taken what may be under way together.
    this.#run();
    for (const head of this.crowdedOut ? [] : this.#lanes.heads()) {
      if (this.#clock - head.cameAt < SLOW_MS) continue;
      this.relieve();
      break;
    }
    for (const delivery of this.#lanes.cutYielding((head) => this.#clock - head.cameAt >= SLOW_MS)) this.#park(delivery);
    if (this.#lanes.live > 0) this.#backlog.giveWay();
  }

  /** Nothing waits in memory any more: it goes into rows, and so does what comes, until little is left of them. */
  relieve(): void {
    const waiting = this.#lanes.cutAll();
    if (waiting.length > 0) this.#backlog.holdAll();
    for (const delivery of waiting) this.#park(delivery);
  }

  /** It is gone: what waits in memory is dropped. @returns how many that were */
  async discard(disabled: Webhook): Promise<number> {
    const waiting = this.#lanes.cutAll();
    for (const delivery of waiting) settle(delivery);
    this.#backlog.forgetDue();
    this.update(disabled);
    this.#gone = true;
    // What is being written must have its row before all rows are deleted.
    await this.#backlog.flush();
    return waiting.length;
  }

  /** No more parked ones are brought back; what is in memory goes on. */
  drain(): void {
    this.#backlog.drain();
  }

  /** Parks all that is not delivered and ends the connections. */
  async close(): Promise<void> {
    this.#backlog.drain();
    for (const delivery of this.#direct.items()) {
      if (delivery.stored) continue;
      this.#backlog.add(delivery);
      this.#parkBehind(delivery.lane);
    }
    this.relieve();
    await this.#backlog.flush();
    await this.abandon();
  }

  /** The time to close is over: stops as it is. What is not settled is not confirmed, and sent after the next start. */
  halt(): void {
    this.#closed = true;
    this.#share.leave();
    this.#backlog.halt();
    this.#sender.destroy().catch(() => undefined);
  }

  /** Forgets what is in memory, delivered or not. @returns how many that were */
  async abandon(): Promise<number> {
    this.#closed = true;
    this.#share.leave();
    const direct = this.#direct.items().filter((delivery) => !delivery.stored);
    const unwritten = [...this.#lanes.cutAll(), ...direct, ...(await this.#backlog.close())];
    for (const delivery of unwritten) settle(delivery);
    await this.#sender.destroy();
    return unwritten.length;
  }

  #run(): void {
    if (!this.active) return;
    // Without a look at the clock where all are under way already, as for most of what comes while a backlog is worked off.
    const allowed = this.#inFlight < this.#webhook.maxInFlight ? this.#allowed : 0;
    while (this.#inFlight < allowed && (this.#lanes.queued > 0 || this.#backlog.peek() !== undefined) && this.#share.may()) {
      const delivery = this.#take();
      if (delivery === undefined) break;
      this.#send(delivery);
    }
    this.#backlog.refill();
    this.#options.onRun(this);
  }

  /** How many requests may be under way. */
  get #allowed(): number {
    return this.active && this.#options.permit.holds(performance.now()) ? this.#breaker.allowed(this.#webhook.maxInFlight, Date.now()) : 0;
  }

  /** What is direct and what was parked take turns, so that neither starves the other; what yields goes when there is nothing else. */
  #take(): Delivery | undefined {
    this.#turn ^= 1;
    const next = this.#turn === 0 ? (this.#backlog.next() ?? this.#lanes.next()) : (this.#lanes.next() ?? this.#backlog.next());
    return next ?? this.#lanes.nextYielding() ?? this.#backlog.nextYielding();
  }

  #nextBytes(): number {
    // Whose turn it is takes `#take` the other way round.
    const next = this.#turn === 1 ? (this.#backlog.peek() ?? this.#lanes.peek()) : (this.#lanes.peek() ?? this.#backlog.peek());
    return next === undefined ? 0 : footprint(next.note);
  }

  #send(delivery: Delivery): void {
    this.#inFlight += 1;
    delivery.begun = true;
    delivery.sentAt = this.#clock;
    this.#share.depart(footprint(delivery.note));
    if (delivery.direct) this.#direct.add(delivery);
    const started = performance.now();
    this.#sender.send(delivery.note, this.completeness.headers, (outcome) => this.#finished(delivery, outcome, performance.now() - started));
  }

  #finished(delivery: Delivery, outcome: Outcome, ms: number): void {
    this.#inFlight -= 1;
    this.#share.arrive(footprint(delivery.note), ms, outcome.kind !== 'failed' || outcome.status !== null);
    if (delivery.direct) {
      this.#direct.delete(delivery);
      this.#lanes.ended(delivery.lane);
    }
    if (this.#closed) return;
    const now = Date.now();
    this.#answeredAt = now;
    delivery.attempts += 1;
    delivery.firstAttemptAt ??= now - Math.round(ms);
    this.#events.attempted(this.#webhook, delivery.note, outcome, delivery.attempts, ms, delivery.committedAt);
    if (outcome.kind === 'delivered') this.#delivered(delivery);
    else if (outcome.kind === 'failed') this.#failed(delivery, outcome, now);
    else {
      this.completeness.end();
      // As all that waits, until the row says that the endpoint is gone.
      if (this.#gone) this.#drop(delivery);
      else this.#retry(delivery, 'retry', outcome.status, outcome.reason, now + this.#options.timing.baseMs);
      this.#events.gone(this.#webhook, outcome.reason);
    }
    if (delivery.direct) {
      this.#lanes.done(delivery.lane);
      // What was parked behind it meanwhile may go now.
      if (this.#backlog.holds(delivery.lane)) this.#backlog.wake(false);
    }
    this.#run();
  }

  #drop(delivery: Delivery): void {
    if (delivery.stored) this.#backlog.record({ kind: 'dropped', notificationId: delivery.note.notificationId, lane: delivery.lane });
    else settle(delivery);
  }

  #delivered(delivery: Delivery): void {
    if (delivery.stored) this.#backlog.record({ kind: 'delivered', notificationId: delivery.note.notificationId, lane: delivery.lane });
    else settle(delivery);
    if (!this.#breaker.succeeded()) return;
    this.#events.recovered(this.#webhook);
    this.#backlog.wake(false);
  }

  #failed(delivery: Delivery, { status, reason, retryAfterMs }: Failed, now: number): void {
    if (this.#gone) {
      this.#drop(delivery);
      return;
    }
    const { lane, attempts } = delivery;
    const outcome: Failed = { kind: 'failed', status, reason, retryAfterMs };
    const { kind, at } = decideRetry(outcome, attempts, delivery.firstAttemptAt ?? now, now, this.#options.timing, Math.random());
    const opened = this.#breaker.failed(lane, attempts === 1, now, Math.random(), retryAfterMs);
    this.#retry(delivery, kind, status, reason, at);
    if (!opened) return;
    this.#backlog.holdAll();
    this.relieve();
    this.#events.failing(this.#webhook, reason);
  }

  #retry(delivery: Delivery, kind: 'retry' | 'dead', status: number | null, reason: string, at: number): void {
    const { lane, attempts } = delivery;
    const hadRow = delivery.stored;
    if (!hadRow) {
      delivery.lastStatus = status;
      delivery.lastError = reason;
      delivery.nextAttemptAt = at;
      this.#backlog.add(delivery);
      this.#parkBehind(lane);
    }
    if (hadRow || kind === 'dead') {
      const { notificationId } = delivery.note;
      this.#backlog.record({ kind, notificationId, lane, status, reason, attempts, nextAttemptAt: at });
    }
    if (kind === 'dead') this.#events.dead(this.#webhook, 1);
  }

  /** Never without what is before it in its lane: it would be taken for the first, and sent before that. */
  #park(delivery: Delivery): void {
    const underWay = this.#lanes.underWay(delivery.lane);
    if (underWay !== undefined && !underWay.stored) this.#parkUnderWay(underWay);
    this.#parkBehind(delivery.lane);
    this.#backlog.add(delivery);
  }

  /** Should the process die now, it is tried again when this attempt would have ended. */
  #parkUnderWay(delivery: Delivery): void {
    delivery.nextAttemptAt = Date.now() + this.#options.timeoutMs + 1_000;
    this.#backlog.add(delivery);
  }

  #parkBehind(lane: string): void {
    for (const behind of this.#lanes.cut(lane)) this.#backlog.add(behind);
  }
}
