import type { StoredNote } from '../../src/deliver/conflate.js';
import type { DueNote, Except, ParkedNote, ParkedOutcome, Parking, Room } from '../../src/deliver/parking.js';

interface StoredRow extends ParkedNote {
  /** in the order of insertion, as the table's own id */
  readonly id: number;
  readonly createdAt: number;
  yields: boolean;
  status: 'waiting' | 'dead';
  body: string;
  attempts: number;
  firstAttemptAt: number | null;
  nextAttemptAt: number | null;
  lastError: string | null;
  begun: boolean;
}

export interface Repeating {
  readonly from: bigint;
  readonly to: bigint;
}

/** Of one lane so many at once. */
const RUN = 64;
const NOTHING: Repeating = { from: 0n, to: 0n };

/**
 * slackchat_bridge.deliveries in memory, by the rules of the real one (`ParkedStore`); test/integration/parked-model.test.ts
 * holds the two against each other. The clock is `Date.now`, which simulations set.
 */
export class DeliveryRows {
  readonly #rows = new Map<string, StoredRow>();
  #ids = 0;

  /** What one instance sees and writes. */
  parking(repeating: () => Repeating = () => NOTHING): Parking {
    return {
      park: async (webhookId, notes, remove) => this.#park(webhookId, notes, remove),
      waiting: async (webhookId, of) => this.#aboutMessages(webhookId, of),
      due: async (webhookId, room, except, leastTriedFirst) => this.#due(webhookId, room, except, leastTriedFirst, repeating()),
      finish: async (webhookId, outcomes) => this.#finish(webhookId, outcomes),
      expire: async (webhookId, ageMs, reason) => this.#expire(webhookId, ageMs, reason),
      nextDueAt: async (webhookId, except) => this.#nextDueAt(webhookId, except, repeating()),
      holding: async (webhookIds) => new Set(webhookIds.filter((id) => this.#waiting(id).length > 0)),
      lanes: async (webhookId, limit) => this.#lanes(webhookId, limit),
    };
  }

  storedBefore(from: bigint, to: bigint): bigint {
    const stored = [...this.#rows.values()].filter(({ status, lsn }) => status === 'waiting' && lsn >= from && lsn < to);
    return stored.reduce((newest, { lsn }) => (lsn >= newest ? lsn + 1n : newest), 0n);
  }

  /** Every row, as text. */
  get rows(): readonly string[] {
    return [...this.#rows.keys()].map((key) => {
      const row = this.#rows.get(key);
      return `${key} ${String(row?.status)} in ${String(row?.lane)}, attempts ${String(row?.attempts)}, next ${String(row?.nextAttemptAt)}`;
    });
  }

  #park(webhookId: string, notes: readonly ParkedNote[], remove: readonly string[]): readonly string[] {
    const lanes = notes.map(({ lane }) => lane);
    for (const id of remove) {
      const row = this.#rows.get(`${webhookId} ${id}`);
      if (row?.status !== 'waiting' || row.begun) continue;
      this.#rows.delete(`${webhookId} ${id}`);
      lanes.push(row.lane);
    }
    for (const note of notes) {
      const key = `${webhookId} ${note.notificationId}`;
      const known = this.#rows.get(key);
      if (known === undefined) this.#rows.set(key, { ...note, id: (this.#ids += 1), createdAt: Date.now(), yields: note.replay, status: note.dead ? 'dead' : 'waiting' });
      else if (known.status === 'waiting' && known.lane === note.lane) known.body = note.body;
    }
    const hurried = new Set(notes.flatMap(({ dead, replay, lane }) => (dead || replay ? [] : [lane])));
    for (const row of this.#waiting(webhookId)) if (hurried.has(row.lane)) row.yields = false;
    return this.#promote(webhookId, lanes);
  }

  #aboutMessages(webhookId: string, of: readonly { readonly lane: string; readonly messageId: string }[]): readonly StoredNote[] {
    const asked = (row: StoredRow): boolean => of.some(({ lane, messageId }) => lane === row.lane && (!lane.startsWith('channel:') || messageId === row.messageId));
    const waiting = this.#waiting(webhookId);
    const channels = new Set(of.flatMap(({ lane }) => (lane.startsWith('channel:') ? [lane] : [])));
    const last = [...channels].flatMap((lane) => inOrder(waiting.filter((row) => row.lane === lane && row.messageId === null)).at(-1) ?? []);
    return [...waiting.filter(asked), ...last];
  }

  #due(webhookId: string, room: Room, except: Except, leastTriedFirst: boolean, repeating: Repeating): readonly DueNote[] {
    const heads = this.#heads(webhookId, except, repeating).filter(({ nextAttemptAt }) => nextAttemptAt !== null && nextAttemptAt <= Date.now());
    heads.sort((a, b) => Number(a.yields) - Number(b.yields) || (leastTriedFirst ? a.attempts - b.attempts : 0) || (a.nextAttemptAt ?? 0) - (b.nextAttemptAt ?? 0) || a.id - b.id);
    const chosen = heads.slice(0, room.lanes);
    const hurried = chosen.filter((head) => !head.yields).length;
    const each = leastTriedFirst || hurried === 0 ? 1 : Math.min(RUN, Math.max(1, Math.floor(room.rows / hurried)));
    const runs = chosen.map((head) => this.#run(webhookId, head, each, beginOf(except, repeating), repeating.to));
    // All heads, then all that come second, and so on; what yields after all that does not.
    const all = [false, true].flatMap((yields) => Array.from({ length: each }, (_item, place) => runs.flatMap((run) => (run[0]?.yields === yields ? (run[place] ?? []) : [])).map((row) => ({ row, place })))).flat();
    let used = 0;
    const cut = new Set<string>();
    return all.flatMap(({ row, place }): readonly DueNote[] => {
      const { notificationId, lane, lsn, seq, channelId, body, attempts, firstAttemptAt, createdAt, replay, yields } = row;
      const bytes = Buffer.byteLength(body);
      if (bytes <= room.bytes) used += bytes;
      const fits = bytes <= room.bytes && used <= room.bytes;
      const goes = !cut.has(lane) && (place === 0 || (fits && !yields && (row.nextAttemptAt ?? 0) <= Date.now()));
      if (!goes || !fits) cut.add(lane);
      if (!goes) return [];
      // Known before the attempt begins.
      if (fits && row.updateType !== null) row.begun = true;
      return [{ notificationId, lane, lsn, seq, channelId, replay, yields, bytes, body: fits ? body : null, attempts, firstAttemptAt, parkedAt: createdAt }];
    });
  }

  /** A head and what follows it. */
  #run(webhookId: string, head: StoredRow, length: number, from: bigint, to: bigint): readonly StoredRow[] {
    const lane = inOrder(this.#waiting(webhookId).filter((row) => row.lane === head.lane && (row.lsn < from || head.lsn >= to)));
    return lane.slice(0, head.attempts > 0 || head.yields ? 1 : length);
  }

  #finish(webhookId: string, outcomes: readonly ParkedOutcome[]): readonly string[] {
    const lanes = new Set<string>();
    for (const outcome of outcomes) {
      const key = `${webhookId} ${outcome.notificationId}`;
      const row = this.#rows.get(key);
      if (outcome.kind !== 'retry') lanes.add(outcome.lane);
      if (!('attempts' in outcome)) this.#rows.delete(key);
      else if (row !== undefined) conclude(row, outcome);
    }
    return this.#promote(webhookId, [...lanes]);
  }

  #expire(webhookId: string, ageMs: number, reason: string): number {
    const old = this.#waiting(webhookId).filter(({ firstAttemptAt, createdAt }) => (firstAttemptAt ?? createdAt) < Date.now() - ageMs);
    for (const row of old) Object.assign(row, { status: 'dead', nextAttemptAt: null, lastError: row.lastError ?? reason });
    this.#promote(webhookId, old.map(({ lane }) => lane));
    return old.length;
  }

  #nextDueAt(webhookId: string, except: Except, repeating: Repeating): number | null {
    const times = this.#heads(webhookId, except, repeating).flatMap(({ nextAttemptAt }) => nextAttemptAt ?? []);
    return times.length === 0 ? null : Math.min(...times);
  }

  #lanes(webhookId: string, limit: number): readonly string[] | null {
    const waiting = this.#waiting(webhookId);
    if (waiting.length > limit) return null;
    const lanes = [...new Set(waiting.map(({ lane }) => lane))];
    this.#promote(webhookId, lanes);
    return lanes;
  }

  /** A head without a time gets one. @returns the lanes in which nothing waits */
  #promote(webhookId: string, lanes: readonly string[]): readonly string[] {
    return [...new Set(lanes)].filter((lane) => {
      const head = this.#headOf(webhookId, lane);
      if (head !== undefined) head.nextAttemptAt ??= Date.now();
      return head === undefined;
    });
  }

  #heads(webhookId: string, except: Except, repeating: Repeating): StoredRow[] {
    const from = beginOf(except, repeating);
    const waiting = this.#waiting(webhookId);
    return waiting.filter((row) => this.#headOf(webhookId, row.lane) === row
      && !except.lanes.includes(row.lane) && !(except.yielding && row.yields) && !(row.lsn >= from && row.lsn < repeating.to));
  }

  #headOf(webhookId: string, lane: string): StoredRow | undefined {
    return inOrder(this.#waiting(webhookId).filter((row) => row.lane === lane))[0];
  }

  #waiting(webhookId: string): StoredRow[] {
    return this.#of(webhookId).filter(({ status }) => status === 'waiting');
  }

  #of(webhookId: string): StoredRow[] {
    return [...this.#rows].flatMap(([key, row]) => (key.startsWith(`${webhookId} `) ? [row] : []));
  }
}

/** Of these commits nothing is due. */
function beginOf(except: Except, { from }: Repeating): bigint {
  return except.whileRepeating ? 0n : from;
}

function conclude(row: StoredRow, outcome: Extract<ParkedOutcome, { attempts: number }>): void {
  const { kind, attempts, reason, nextAttemptAt } = outcome;
  row.status = kind === 'retry' ? 'waiting' : 'dead';
  row.attempts = attempts;
  row.firstAttemptAt ??= Date.now();
  row.lastError = reason;
  row.nextAttemptAt = kind === 'retry' ? nextAttemptAt : null;
}

function inOrder(rows: readonly StoredRow[]): readonly StoredRow[] {
  return rows.toSorted((a, b) => (a.lsn === b.lsn ? a.seq - b.seq : a.lsn < b.lsn ? -1 : 1));
}
