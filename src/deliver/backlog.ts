import { errorMessage } from '../errors.js';
import { delay } from '../time.js';
import type { Share } from './allowance.js';
import type { BacklogHost } from './backlog-host.js';
import { planParking } from './conflate.js';
import { broughtBack, settle, type Delivery } from './delivery.js';
import { batchOf, rowOf, WRITE_BATCH } from './outbox.js';
import type { DueNote, Except, ParkedOutcome, Parking } from './parking.js';

const LOAD_LIMIT = 256;
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
  /** brought back and not finished, by notification id */
  readonly #loaded = new Map<string, Delivery>();
  #due: Delivery[] = [];
  #dueYielding: Delivery[] = [];
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

  record(outcome: ParkedOutcome): void {
    this.#outcomes.push(outcome);
    this.#kick();
  }

  next(): Delivery | undefined {
    return this.#due.shift();
  }

  /** To be asked for when nothing else may go. */
  nextYielding(): Delivery | undefined {
    return this.#dueYielding.shift();
  }

  /** Something waits that does not yield: what does, and was brought back, gives its place to it. */
  giveWay(): void {
    if (this.#dueYielding.length === 0) return;
    this.#mayYield = true;
    this.#passedOver = true;
    for (const { note } of this.#dueYielding) this.#unload(note.notificationId);
    this.#dueYielding = [];
  }

  /** What `next` would give, or `nextYielding`. */
  peek(): Delivery | undefined {
    return this.#due[0] ?? this.#dueYielding[0];
  }

  /** More may be sent than before, or the rows were changed by hand. */
  wake(changedByHand: boolean): void {
    if (changedByHand) {
      this.#lanes = null;
      this.#mayYield = true;
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
    } else if (this.#due.length === 0 && this.#dueYielding.length === 0 && this.#lanes?.size !== 0) {
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
    for (const { note } of [...this.#due, ...this.#dueYielding]) this.#unload(note.notificationId);
    this.#due = [];
    this.#dueYielding = [];
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
    for (const notificationId of this.#loaded.keys()) this.#unload(notificationId);
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
    for (const { notificationId } of batch) this.#unload(notificationId);
    this.#free(freed);
    this.#pumpAt = 0;
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
    const room = Math.min(allowed * 2, LOAD_LIMIT) - this.#loaded.size;
    if (room <= 0) {
      // What is loaded may have been waiting for this very moment.
      if (this.#isDue) this.#host.onDue();
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
    if (this.#isDue) this.#host.onDue();
    if (probing) await this.#expire();
    if (this.#draining) return;
    if (more) {
      // What was brought back asks for more when it is done.
      if (this.#loaded.size === 0) this.#setTimer((this.#pumpAt = Date.now() + CROWDED_MS));
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

  get #isDue(): boolean {
    return this.#due.length > 0 || this.#dueYielding.length > 0;
  }

  /** @returns whether there is more than there was room for */
  async #bringBack(room: number, probing: boolean): Promise<boolean> {
    const reserved = this.#share.reserve();
    if (reserved === 0) return true;
    let used = 0;
    try {
      const rows = await this.#parking.due(this.#webhookId, room, this.#except(), probing, reserved);
      for (const row of rows) if (row.body !== null) used += this.#load(row, row.body, row.body.length, 0);
      if (!this.#passedOver) this.#mayYield = rows.some(({ yields }) => yields);
      const large = rows.find(({ body, bytes }) => body === null && bytes > reserved);
      if (large !== undefined) await this.#bringBackLarge(large, probing);
      return rows.length >= room || rows.some(({ body }) => body === null);
    } finally {
      this.#share.giveBack(reserved - used);
    }
  }

  /** One that is larger than what may be loaded otherwise. */
  async #bringBackLarge({ notificationId, lane, attempts, bytes }: DueNote, probing: boolean): Promise<void> {
    const { maxRow } = this.#share;
    if (bytes > maxRow) {
      const reason = `the payload is too large: ${bytes} bytes, and ${maxRow} can be brought back, half of MAX_BUFFER_MB or MAX_PAYLOAD_MB, whichever is more`;
      this.#outcomes.push({ kind: 'dead', notificationId, lane, status: null, reason, attempts, nextAttemptAt: Date.now() });
      this.#host.onDead(1);
      return;
    }
    if (!this.#share.reserveLarge(bytes)) return;
    let used = 0;
    try {
      for (const row of await this.#parking.due(this.#webhookId, 1, this.#except(), probing, bytes)) {
        if (row.body !== null) used = this.#load(row, row.body, 0, row.body.length);
      }
    } finally {
      this.#share.giveBackLarge(bytes - used);
    }
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
    const lanes = new Set(this.#host.busyLanes());
    for (const { lane } of this.#loaded.values()) lanes.add(lane);
    for (const { lane } of this.#outbox) lanes.add(lane);
    return { notificationIds: [...this.#loaded.keys()], lanes: [...lanes], whileRepeating: this.#host.conflates(), yielding: this.#passedOver };
  }

  /** @returns its length */
  #load(row: DueNote, body: string, reserved: number, reservedLarge: number): number {
    const { notificationId, lane, yields } = row;
    const delivery = broughtBack(row, body, reserved, reservedLarge);
    this.#loaded.set(notificationId, delivery);
    this.#lanes?.add(lane);
    (yields ? this.#dueYielding : this.#due).push(delivery);
    return body.length;
  }

  #unload(notificationId: string): void {
    const delivery = this.#loaded.get(notificationId);
    if (delivery === undefined) return;
    this.#loaded.delete(notificationId);
    this.#share.giveBack(delivery.reserved);
    this.#share.giveBackLarge(delivery.reservedLarge);
  }

  /** Little is left: from here on only its lanes go through the rows, the others are direct again. */
  async #nameLanes(wakes: number): Promise<void> {
    const lanes = await this.#parking.lanes(this.#webhookId, this.#host.lanesLimit());
    if (lanes === null || this.#host.probing() || wakes !== this.#wakes) return;
    const loaded = [...this.#loaded.values()].map((delivery) => delivery.lane);
    this.#lanes = new Set([...lanes, ...loaded, ...this.#outbox.map((delivery) => delivery.lane)]);
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
