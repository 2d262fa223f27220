import { errorMessage } from '../errors.js';
import { delay } from '../time.js';
import type { Share } from './allowance.js';
import type { BacklogHost } from './backlog-host.js';
import { planParking } from './conflate.js';
import { settle, type Delivery } from './delivery.js';
import { Loaded } from './loaded.js';
import { batchOf, rowOf, WRITE_BATCH } from './outbox.js';
import type { Except, ParkedOutcome, Parking } from './parking.js';

/** However the rows' times are, the database is not asked more often. */
const PUMP_FLOOR_MS = 50;
/** Nothing of what is due could be brought back: it is tried again so much later, if there is not room before. */
const CROWDED_MS = 5_000;
const EXPIRE_BATCHES = 20;

/** What is parked of one endpoint: written in batches, brought back when due. */
export class Backlog {
  readonly #webhookId: string;
  readonly #parking: Parking;
  readonly #host: BacklogHost;
  readonly #maxAgeMs: number;
  readonly #share: Share;
  readonly #loaded: Loaded;
  /** something that yields may wait */
  #mayYield = true;
  /** it was left where it is, because something else waits */
  #passedOver = false;
  #outbox: Delivery[] = [];
  #outcomes: ParkedOutcome[] = [];
  /** null: every lane */
  #lanes: Set<string> | null;
  #writing: Promise<void> | null = null;
  #pumpAt = 0;
  /** goes up with each `wake`, which must not get lost in a pump under way */
  #wakes = 0;
  /** goes up whenever the rows were changed by hand */
  #changes = 0;
  #timer: NodeJS.Timeout | null = null;
  #draining = false;
  #closed = false;
  readonly #closing = new AbortController();

  /** @param lanes in which something is parked; null: too many to name */
  constructor(webhookId: string, parking: Parking, host: BacklogHost, maxAgeMs: number, share: Share, lanes: readonly string[] | null) {
    this.#webhookId = webhookId;
    this.#parking = parking;
    this.#host = host;
    this.#maxAgeMs = maxAgeMs;
    this.#share = share;
    share.onRoom = () => {
      this.#pumpAt = 0;
      this.#kick();
    };
    this.#loaded = new Loaded(webhookId, parking, share);
    this.#lanes = lanes === null ? null : new Set(lanes);
  }

  /** What comes for this lane has to go behind what is parked in it. */
  holds(lane: string): boolean {
    return this.#lanes === null || this.#lanes.has(lane);
  }

  /** Not written yet. */
  get pending(): number {
    return this.#outbox.length;
  }

  add(delivery: Delivery): void {
    delivery.stored = true;
    this.#outbox.push(delivery);
    this.#mayYield ||= delivery.note.replay;
    // Nothing waits behind one that is not sent.
    if (!delivery.dead) this.#lanes?.add(delivery.lane);
    if (this.#lanes !== null && this.#lanes.size > this.#host.lanesLimit()) this.#lanes = null;
    this.#kick();
  }

  /** From here on everything is parked, until little is left. */
  holdAll(): void {
    this.#lanes = null;
  }

  /** What was brought back with it goes on only when it was delivered: otherwise its lane waits for the rows to say how. */
  record(outcome: ParkedOutcome): void {
    this.#outcomes.push(outcome);
    if (outcome.kind === 'delivered') this.#loaded.advance(outcome.lane);
    else this.#loaded.cut(outcome.lane);
    this.#kick();
  }

  next(): Delivery | undefined {
    return this.#loaded.next();
  }

  /** To be asked for when nothing else may go. */
  nextYielding(): Delivery | undefined {
    return this.#loaded.nextYielding();
  }

  /** Something waits that does not yield: what does, and was brought back, gives its place to it. */
  giveWay(): void {
    if (!this.#loaded.forgetYielding()) return;
    this.#mayYield = true;
    this.#passedOver = true;
  }

  /** What `next` would give, or `nextYielding`. */
  peek(): Delivery | undefined {
    return this.#loaded.peek();
  }

  /** More may be sent than before, or the rows were changed by hand. */
  wake(changedByHand: boolean): void {
    if (changedByHand) {
      this.#lanes = null;
      this.#mayYield = true;
      this.#forgetBehind();
    }
    if (this.#lanes?.size === 0) return;
    this.#pumpAt = 0;
    this.#wakes += 1;
    this.#kick();
  }

  /** Something was finished: there may be room for more. */
  refill(): void {
    if (this.#passedOver && !this.#host.busy()) {
      this.#passedOver = false;
      this.wake(false);
    } else if (!this.#loaded.ready && this.#lanes?.size !== 0) {
      this.#kick();
    }
  }

  /** Brings nothing back any more. */
  drain(): void {
    this.#draining = true;
    this.forgetDue();
    this.#setTimer(null);
  }

  /** The endpoint is gone: what was brought back is not sent any more. */
  forgetDue(): void {
    this.#loaded.forget();
  }

  /** Rows were removed by hand. */
  rowsRemoved(): void {
    this.#forgetBehind();
    this.refill();
  }

  /** The rows were changed by hand: what was brought back behind others may be gone, or have something before it. */
  #forgetBehind(): void {
    this.#changes += 1;
    this.#loaded.cutAll();
  }

  /** Stops without letting go of anything: what is not written is sent again after the next start. */
  halt(): void {
    this.#closed = true;
    this.#closing.abort();
    this.#setTimer(null);
  }

  /** Resolves when everything is written. */
  async flush(): Promise<void> {
    while (!this.#closed && (this.#writing !== null || this.#outbox.length > 0 || this.#outcomes.length > 0)) {
      this.#kick();
      await this.#writing;
    }
  }

  /** Writes nothing more. @returns what was not written */
  async close(): Promise<readonly Delivery[]> {
    this.#closed = true;
    this.#closing.abort();
    this.drain();
    const rest = this.#outbox;
    this.#outbox = [];
    this.#outcomes = [];
    await this.#writing;
    this.#loaded.clear();
    return rest;
  }

  #kick(): void {
    if (this.#closed || this.#writing !== null) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = null;
      if (this.#outbox.length > 0 || this.#outcomes.length > 0) this.#kick();
    });
  }

  /** The only place that touches the rows. Each round gives parking, outcomes and what is due their turn, so none starves another. */
  async #write(): Promise<void> {
    // What happens in one turn of the event loop goes into one statement.
    await Promise.resolve();
    for (let pause = 50; !this.#closed; ) {
      try {
        if (this.#outbox.length > 0) await this.#writeOutbox();
        if (this.#outcomes.length > 0) await this.#writeOutcomes();
        const wakes = this.#wakes;
        await this.#pump();
        if (this.#outbox.length === 0 && this.#outcomes.length === 0 && wakes === this.#wakes) return;
        pause = 50;
      } catch (error) {
        this.#host.onStoreFault(errorMessage(error));
        await delay(pause, this.#closing.signal);
        pause = Math.min(pause * 2, 5_000);
      }
    }
  }

  async #writeOutbox(): Promise<void> {
    const batch = batchOf(this.#outbox);
    const conflates = this.#host.conflates();
    const { remove, park, collapsed } = conflates ? await this.#plan(batch) : { remove: [], park: batch, collapsed: 0 };
    const rows = park.map((delivery) => rowOf(delivery, conflates));
    const freed = await this.#parking.park(this.#webhookId, rows, remove).catch((error: unknown) => {
      // It may have been written all the same, and only its answer lost: to collapse once more with that would be once too often.
      if (conflates) for (const delivery of batch) delivery.note = { ...delivery.note, repeated: true };
      throw error;
    });
    if (this.#closed) return;
    this.#outbox = this.#outbox.slice(batch.length);
    this.#free(freed);
    for (const delivery of batch) settle(delivery);
    const dead = batch.filter((delivery) => delivery.dead).length;
    if (dead > 0) this.#host.onDead(dead);
    if (collapsed > 0) this.#host.onCollapsed(collapsed);
    if (dead < batch.length) this.#host.onParked(batch.length - dead);
    this.#pumpAt = 0;
  }

  async #plan(batch: readonly Delivery[]): Promise<ReturnType<typeof planParking>> {
    const of = batch.flatMap(({ lane, note: { messageId } }) => (messageId === null ? [] : [{ lane, messageId }]));
    return planParking(of.length === 0 ? [] : await this.#parking.waiting(this.#webhookId, of), batch);
  }

  async #writeOutcomes(): Promise<void> {
    const batch = this.#outcomes.slice(0, WRITE_BATCH);
    const freed = await this.#parking.finish(this.#webhookId, batch);
    this.#outcomes = this.#outcomes.slice(batch.length);
    for (const { notificationId } of batch) this.#loaded.finish(notificationId);
    this.#free(freed);
    // Others of a lane that goes on are here already.
    if (batch.some(({ lane }) => !this.#loaded.has(lane))) this.#pumpAt = 0;
  }

  /** Nothing waits in these lanes any more. */
  #free(lanes: readonly string[]): void {
    if (lanes.length === 0) return;
    // What came for the lane meanwhile is about to be parked in it.
    const again = new Set(this.#outbox.map((delivery) => delivery.lane));
    for (const lane of lanes) if (!again.has(lane)) this.#lanes?.delete(lane);
  }

  /** Loads what is due, as far as there is room. */
  async #pump(): Promise<void> {
    if (this.#draining || this.#lanes?.size === 0) return;
    const allowed = this.#host.allowed();
    if (allowed === 0) {
      this.#setTimer(this.#host.allowedAt());
      return;
    }
    const room = this.#loaded.room(allowed);
    if (room <= 0) {
      // What is loaded may have been waiting for this very moment.
      if (this.#loaded.ready) this.#host.onDue();
      return;
    }
    const now = Date.now();
    if (now < this.#pumpAt) {
      this.#setTimer(this.#pumpAt);
      return;
    }
    const wakes = this.#wakes;
    const probing = this.#host.probing();
    this.#passedOver = this.#mayYield && this.#host.busy();
    const more = await this.#bringBack(room, probing);
    if (this.#loaded.ready) this.#host.onDue();
    if (probing) await this.#expire();
    if (this.#draining) return;
    if (more) {
      // What was brought back asks for more when it is done.
      if (this.#loaded.empty) this.#setTimer((this.#pumpAt = Date.now() + CROWDED_MS));
      return;
    }
    let next = await this.#parking.nextDueAt(this.#webhookId, this.#except());
    if (this.#lanes === null || next === null) {
      await this.#nameLanes(wakes);
      // Nothing had a time although something waits: a head was removed by hand, and the next has one now.
      next ??= await this.#parking.nextDueAt(this.#webhookId, this.#except());
    }
    if (wakes !== this.#wakes) return;
    this.#pumpAt = Math.max(next ?? now + 60_000, Date.now() + PUMP_FLOOR_MS);
    this.#setTimer(this.#pumpAt);
  }

  /** @returns whether there is more than there was room for */
  async #bringBack(lanes: number, probing: boolean): Promise<boolean> {
    const changes = this.#changes;
    const { more, yields, tooLarge } = await this.#loaded.bringBack(lanes, () => this.#except(), probing);
    if (yields !== null && !this.#passedOver) this.#mayYield = yields;
    if (this.#draining) this.#loaded.forget();
    else if (changes !== this.#changes) this.#loaded.cutAll();
    for (const lane of this.#loaded.lanes) this.#lanes?.add(lane);
    if (tooLarge === null) return more;
    const { notificationId, lane, attempts, bytes } = tooLarge;
    const reason = `the payload is too large: ${bytes} bytes, and ${this.#share.maxRow} can be brought back, half of MAX_BUFFER_MB or MAX_PAYLOAD_MB, whichever is more`;
    this.#outcomes.push({ kind: 'dead', notificationId, lane, status: null, reason, attempts, nextAttemptAt: Date.now() });
    this.#host.onDead(1);
    return more;
  }

  /** Some of what has waited for too long is given up; a fault of it must not keep probes from being sent. */
  async #expire(): Promise<void> {
    try {
      for (let batch = 0; batch < EXPIRE_BATCHES && !this.#closed; batch += 1) {
        const expired = await this.#parking.expire(this.#webhookId, this.#maxAgeMs, 'the endpoint did not recover in time');
        if (expired === 0) return;
        this.#host.onDead(expired);
      }
    } catch (error) {
      this.#host.onStoreFault(errorMessage(error));
    }
  }

  /** What is on its way, or about to be written, must not be overtaken by what is parked. */
  #except(): Except {
    const lanes = new Set([...this.#host.busyLanes(), ...this.#loaded.lanes, ...this.#outbox.map(({ lane }) => lane)]);
    return { lanes: [...lanes], whileRepeating: this.#host.conflates(), yielding: this.#passedOver };
  }

  /** Little is left: from here on only its lanes go through the rows, the others are direct again. */
  async #nameLanes(wakes: number): Promise<void> {
    const lanes = await this.#parking.lanes(this.#webhookId, this.#host.lanesLimit());
    if (lanes === null || this.#host.probing() || wakes !== this.#wakes) return;
    this.#lanes = new Set([...lanes, ...this.#loaded.lanes, ...this.#outbox.map((delivery) => delivery.lane)]);
  }

  #setTimer(at: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (at === null || this.#closed || this.#draining) return;
    this.#timer = setTimeout(() => {
      this.#host.onDue();
      this.#kick();
    }, Math.min(Math.max(1, at - Date.now()), 60_000));
  }
}
