import type { Share } from './allowance.js';
import { broughtBack, type Delivery } from './delivery.js';
import type { DueNote, Except, Parking } from './parking.js';

/** Lanes of which something is brought back, and as many rows more that wait behind others of theirs. */
const LIMIT = 256;

interface Lane {
  /** brought back and not finished */
  rows: number;
  /** what goes once those before it are delivered, in order */
  behind: Delivery[];
}

/**
 * What was brought back from the rows of one endpoint and is not finished. Of a lane several may be here: one is to be
 * sent, the others go one after another as long as each is delivered. A row's end is written later, together with others';
 * until then its lane counts as loaded, so that nothing of it is brought back a second time.
 */
export class Loaded {
  readonly #webhookId: string;
  readonly #parking: Pick<Parking, 'due'>;
  readonly #share: Share;
  /** by notification id */
  readonly #rows = new Map<string, Delivery>();
  readonly #lanes = new Map<string, Lane>();
  #due: Delivery[] = [];
  /** everything else goes before these */
  #yielding: Delivery[] = [];
  #behind = 0;

  constructor(webhookId: string, parking: Pick<Parking, 'due'>, share: Share) {
    this.#webhookId = webhookId;
    this.#parking = parking;
    this.#share = share;
  }

  /** In which something was brought back and is not finished. */
  get lanes(): readonly string[] {
    return [...this.#lanes.keys()];
  }

  get empty(): boolean {
    return this.#lanes.size === 0;
  }

  /** In how many more lanes something may be brought back. @param allowed requests under way */
  room(allowed: number): number {
    return Math.min(allowed * 2, LIMIT) - this.#lanes.size;
  }

  has(lane: string): boolean {
    return this.#lanes.has(lane);
  }

  /** Something can be sent. */
  get ready(): boolean {
    return this.#due.length > 0 || this.#yielding.length > 0;
  }

  /**
   * Of so many more lanes what is due, as far as there is room.
   * @returns whether there is more, whether some of it yields (null: it was not looked), and one that is too large ever to be brought back
   */
  async bringBack(lanes: number, except: () => Except, probing: boolean): Promise<{ readonly more: boolean; readonly yields: boolean | null; readonly tooLarge: DueNote | null }> {
    const reserved = this.#share.reserve();
    if (reserved === 0) return { more: true, yields: null, tooLarge: null };
    let used = 0;
    try {
      const rows = await this.#parking.due(this.#webhookId, { lanes, rows: lanes + LIMIT - this.#behind, bytes: reserved }, except(), probing);
      for (const row of rows) {
        if (row.body === null) continue;
        this.#add(row, row.body, row.body.length, 0);
        used += row.body.length;
      }
      const large = rows.find(({ body, bytes }) => body === null && bytes > reserved);
      const tooLarge = large !== undefined && large.bytes > this.#share.maxRow ? large : null;
      if (large !== undefined && tooLarge === null) await this.#bringBackLarge(large.bytes, except, probing);
      return { more: new Set(rows.map(({ lane }) => lane)).size >= lanes || rows.some(({ body }) => body === null), yields: rows.some(({ yields }) => yields), tooLarge };
    } finally {
      this.#share.giveBack(reserved - used);
    }
  }

  /** One that is larger than what may be loaded otherwise. */
  async #bringBackLarge(bytes: number, except: () => Except, probing: boolean): Promise<void> {
    if (!this.#share.reserveLarge(bytes)) return;
    let used = 0;
    try {
      for (const row of await this.#parking.due(this.#webhookId, { lanes: 1, rows: 1, bytes }, except(), probing)) {
        if (row.body === null) continue;
        this.#add(row, row.body, 0, row.body.length);
        used = row.body.length;
      }
    } finally {
      this.#share.giveBackLarge(bytes - used);
    }
  }

  /** In the order of its lane. */
  #add(row: DueNote, body: string, reserved: number, reservedLarge: number): void {
    const { notificationId, lane, yields } = row;
    const delivery = broughtBack(row, body, reserved, reservedLarge);
    this.#rows.set(notificationId, delivery);
    const known = this.#lanes.get(lane);
    if (known === undefined) {
      this.#lanes.set(lane, { rows: 1, behind: [] });
      (yields ? this.#yielding : this.#due).push(delivery);
    } else {
      known.rows += 1;
      known.behind.push(delivery);
      this.#behind += 1;
    }
  }

  next(): Delivery | undefined {
    return this.#due.shift();
  }

  /** What `next` would give, or `nextYielding`. */
  peek(): Delivery | undefined {
    return this.#due[0] ?? this.#yielding[0];
  }

  nextYielding(): Delivery | undefined {
    return this.#yielding.shift();
  }

  /** One of the lane was delivered: the next one may be sent. */
  advance(lane: string): void {
    const next = this.#lanes.get(lane)?.behind.shift();
    if (next === undefined) return;
    this.#behind -= 1;
    this.#due.push(next);
  }

  /** What waits behind others of the lane is forgotten, and brought back from its rows again. */
  cut(lane: string): void {
    const behind = this.#lanes.get(lane)?.behind.splice(0) ?? [];
    this.#behind -= behind.length;
    for (const delivery of behind) this.finish(delivery.note.notificationId);
  }

  cutAll(): void {
    for (const lane of this.lanes) this.cut(lane);
  }

  /** Forgets what is not being sent. */
  forget(): void {
    this.cutAll();
    for (const { note } of this.#due.splice(0)) this.finish(note.notificationId);
    this.forgetYielding();
  }

  /** @returns whether there was any */
  forgetYielding(): boolean {
    const yielding = this.#yielding.splice(0);
    for (const { note } of yielding) this.finish(note.notificationId);
    return yielding.length > 0;
  }

  /** What became of it is written. */
  finish(notificationId: string): void {
    const delivery = this.#rows.get(notificationId);
    if (delivery === undefined) return;
    this.#rows.delete(notificationId);
    const lane = this.#lanes.get(delivery.lane);
    if (lane !== undefined) {
      lane.rows -= 1;
      if (lane.rows === 0) this.#lanes.delete(delivery.lane);
    }
    this.#share.giveBack(delivery.reserved);
    this.#share.giveBackLarge(delivery.reservedLarge);
  }

  clear(): void {
    this.forget();
    for (const notificationId of this.#rows.keys()) this.finish(notificationId);
  }
}
