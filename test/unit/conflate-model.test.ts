import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeInto, planParking, type StoredNote } from '../../src/deliver/conflate.js';
import { settle, type Delivery, type Note, type Place } from '../../src/deliver/delivery.js';
import type { UpdateType } from '../../src/types.js';

/** What is written to the chat, and what happens to the bridge and on the way to the receiver meanwhile. */
type Step =
  | { readonly do: 'write'; readonly message: number; readonly what: 'save' | 'delete' | 'move' }
  | { readonly do: 'ask'; readonly channel: number }
  /** the bridge takes in so many; `memory`: they may wait there */
  | { readonly do: 'take'; readonly count: number; readonly memory: boolean }
  | { readonly do: 'send'; readonly lane: number; readonly outcome: 'delivered' | 'not sent' | 'not answered' }
  /** @param confirmed how much of what could be confirmed was, from 0 to 1 */
  | { readonly do: 'crash'; readonly confirmed: number };

interface Row extends StoredNote {
  readonly body: string;
}

const isBefore = (a: Place, b: Place): boolean => a.lsn < b.lsn || (a.lsn === b.lsn && a.seq < b.seq);
const CHANNELS = ['c0', 'c1'];
const keyOf = (message: string | null, channel: string): string => `${message ?? ''} in ${channel}`;

/** A chat, a bridge as far as order and storing go, and two receivers: one that drops repeats and one that does not. */
class World {
  readonly #ordering: 'message' | 'channel';
  /** all that was ever committed, in order */
  readonly #stream: Note[] = [];
  readonly #chat = new Map<string, { readonly channel: string; readonly version: number }>();
  #lsn = 0n;
  #version = 0;
  #taken = 0;
  #confirmed = 0;
  /** read again after a crash: up to here everything is stored, and nothing is sent before it is */
  #repeatedBefore = 0;
  #settled = new Set<number>();
  #lanes = new Map<string, Delivery[]>();
  #rows: Row[] = [];
  readonly seen = new Map<string, number>();
  readonly careful = new Map<string, number>();
  readonly careless = new Map<string, number>();
  requests = 0;

  constructor(ordering: 'message' | 'channel') {
    this.#ordering = ordering;
  }

  step(step: Step): void {
    if (step.do === 'write') this.#write(`m${step.message}`, step.what);
    else if (step.do === 'ask') this.#commit([{ message: null, channel: CHANNELS[step.channel] ?? '', kind: null, version: 0 }]);
    else if (step.do === 'take') this.#take(step.count, step.memory);
    else if (step.do === 'crash') this.#crash(step.confirmed);
    else this.#send(step.lane, step.outcome);
  }

  /** Everything goes well from here on. */
  end(): void {
    this.#take(Number.POSITIVE_INFINITY, false);
    while (this.#ready().length > 0) this.#send(0, 'delivered');
    expect([...this.#lanes.values()].flat()).toEqual([]);
    expect(this.#rows).toEqual([]);
  }

  /** As the chat is. */
  get expected(): ReadonlyMap<string, number> {
    return new Map(Array.from(this.#chat, ([message, { channel, version }]) => [keyOf(message, channel), version]));
  }

  #write(message: string, what: 'save' | 'delete' | 'move'): void {
    const now = this.#chat.get(message);
    this.#version += 1;
    const version = this.#version;
    if (now === undefined) {
      if (what !== 'save') return;
      this.#chat.set(message, { channel: 'c0', version });
      this.#commit([{ message, channel: 'c0', kind: 'message_created', version }]);
    } else if (what === 'delete') {
      this.#chat.delete(message);
      this.#commit([{ message, channel: now.channel, kind: 'message_deleted', version }]);
    } else if (what === 'save') {
      this.#chat.set(message, { ...now, version });
      this.#commit([{ message, channel: now.channel, kind: 'message_changed', version }]);
    } else {
      const channel = now.channel === 'c0' ? 'c1' : 'c0';
      this.#chat.set(message, { channel, version });
      this.#commit([{ message, channel: now.channel, kind: 'message_deleted', version }, { message, channel, kind: 'message_created', version }]);
    }
  }

  #commit(changes: readonly { message: string | null; channel: string; kind: UpdateType | null; version: number }[]): void {
    this.#lsn += 10n;
    for (const [seq, { message, channel, kind, version }] of changes.entries()) {
      this.#stream.push({
        notificationId: `${this.#lsn}-${seq}`, lsn: this.#lsn, seq, channelId: channel, messageId: message, updateType: kind, repeated: false, replay: false,
        body: `{"type":"update_notification","channel":"${channel}","update_type":"${kind}","message":{"version":${version}}}`,
      });
    }
  }

  /** A changed message is told as it is when it is read, as long as it is there; then as the commit made it, and its deletion follows. */
  #read(note: Note): Note {
    const now = this.#chat.get(note.messageId ?? '');
    if (note.updateType !== 'message_changed' || now === undefined) return note;
    return { ...note, body: note.body.replace(/"version":\d+/u, `"version":${now.version}`) };
  }

  #take(count: number, memory: boolean): void {
    for (let index = 0; index < count && this.#taken < this.#stream.length; index += 1) {
      const at = this.#taken;
      this.#taken += 1;
      const read = this.#stream[at];
      if (read === undefined) return;
      const note = { ...this.#read(read), repeated: at < this.#repeatedBefore };
      const lane = this.#ordering === 'channel' || note.messageId === null ? note.channelId : note.messageId;
      const delivery: Delivery = {
        note, lane, direct: true, cameAt: 0, sentAt: 0, committedAt: 0, settle: () => this.#settled.add(at), begun: false, attempts: 0, firstAttemptAt: null,
        lastStatus: null, lastError: null, nextAttemptAt: null, stored: false, dead: false, reserved: 0, reservedLarge: 0, place: 0,
      };
      const stored = this.#rows.some((row) => row.lane === lane);
      const queue = this.#lanes.get(lane) ?? [];
      if (memory && at >= this.#repeatedBefore && !stored) {
        this.#lanes.set(lane, [...(mergeInto(queue, delivery) ?? [...queue, delivery])]);
      } else {
        this.#lanes.set(lane, []);
        this.#park([...queue, delivery]);
      }
    }
  }

  #park(batch: readonly Delivery[]): void {
    const about = new Set(batch.map(({ note, lane }) => `${lane} ${note.messageId}`));
    const lanes = new Set(batch.map(({ lane }) => lane));
    const lastOfChannel = [...lanes].flatMap((lane) => this.#rows.filter((row) => row.lane === lane && row.messageId === null).slice(-1));
    const { remove, park } = planParking([...this.#rows.filter((row) => row.messageId !== null && about.has(`${row.lane} ${row.messageId}`)), ...lastOfChannel], batch);
    this.#rows = this.#rows.filter((row) => row.begun || !remove.includes(row.notificationId));
    for (const { note, lane, begun } of park) {
      const known = this.#rows.findIndex((row) => row.notificationId === note.notificationId);
      if (known >= 0) this.#rows[known] = { ...(this.#rows[known] as Row), body: note.body };
      else this.#rows.push({ ...note, lane, begun });
    }
    this.#rows.sort((a, b) => (isBefore(a, b) ? -1 : 1));
    for (const delivery of batch) settle(delivery);
  }

  /** Lanes of which something may go. */
  #ready(): readonly string[] {
    const lanes = new Set([...this.#lanes].filter(([, queue]) => queue.length > 0).map(([lane]) => lane));
    if (this.#taken >= this.#repeatedBefore) for (const { lane } of this.#rows) lanes.add(lane);
    return [...lanes];
  }

  #send(which: number, outcome: 'delivered' | 'not sent' | 'not answered'): void {
    const ready = this.#ready();
    const lane = ready[which % Math.max(1, ready.length)];
    if (lane === undefined) return;
    const queue = this.#lanes.get(lane) ?? [];
    const [head] = queue;
    const row = this.#rows.findIndex((each) => each.lane === lane);
    if (head !== undefined) {
      head.begun = true;
      if (outcome !== 'not sent') this.#receive(head.note);
      if (outcome === 'delivered') {
        this.#lanes.set(lane, queue.slice(1));
        settle(head);
      } else {
        this.#lanes.set(lane, []);
        this.#park(queue);
      }
    } else if (row >= 0) {
      // Noted before it begins.
      const marked = { ...(this.#rows[row] as Row), begun: true };
      this.#rows[row] = marked;
      if (outcome !== 'not sent') this.#receive(marked);
      if (outcome === 'delivered') this.#rows.splice(row, 1);
    }
  }

  #receive({ notificationId: id, messageId, channelId, body }: Pick<Note, 'notificationId' | 'messageId' | 'channelId' | 'body'>): void {
    this.requests += 1;
    const { update_type: kind, message } = JSON.parse(body) as { update_type: string; message: { version: number } };
    const before = this.seen.get(id);
    // Never an older body under an id that was sent before, unless the message is gone.
    if (before !== undefined && this.#chat.has(messageId ?? '')) expect(message.version).toBeGreaterThanOrEqual(before);
    this.seen.set(id, message.version);
    if (messageId === null) return;
    for (const [receiver, drops] of [[this.careful, true], [this.careless, false]] as const) {
      if (drops && before !== undefined) continue;
      if (kind === 'message_deleted') receiver.delete(keyOf(messageId, channelId));
      else receiver.set(keyOf(messageId, channelId), message.version);
    }
  }

  #crash(share: number): void {
    this.#lanes = new Map();
    let confirmable = this.#confirmed;
    while (this.#settled.has(confirmable)) confirmable += 1;
    let confirmed = this.#confirmed + Math.floor((confirmable - this.#confirmed) * share);
    // A transaction is confirmed as a whole.
    while (confirmed > 0 && this.#stream[confirmed]?.lsn === this.#stream[confirmed - 1]?.lsn) confirmed -= 1;
    this.#confirmed = confirmed;
    this.#settled = new Set([...this.#settled].filter((at) => at < confirmed));
    this.#taken = confirmed;
    this.#repeatedBefore = this.#stream.length;
  }
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), message: fc.integer({ min: 0, max: 2 }), what: fc.constantFrom('save' as const, 'save' as const, 'save' as const, 'delete' as const, 'move' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ask' as const), channel: fc.integer({ min: 0, max: 1 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const), count: fc.integer({ min: 1, max: 4 }), memory: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), lane: fc.nat({ max: 3 }), outcome: fc.constantFrom('delivered' as const, 'not sent' as const, 'not answered' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), confirmed: fc.double({ min: 0, max: 1, noNaN: true }) }) },
);

test.each(['message', 'channel'] as const)('whatever fails and crashes, what a receiver has in the end is what the chat has (ordering %s)', (ordering) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
      const world = new World(ordering);
      for (const each of steps) world.step(each);
      world.end();
      expect(new Map([...world.careful].sort())).toEqual(new Map([...world.expected].sort()));
      expect(new Map([...world.careless].sort())).toEqual(new Map([...world.expected].sort()));
    }),
    { numRuns: 1_500 },
  );
});

test.each(['message', 'channel'] as const)('what has waited from beginning to end is told once for each message that is left, and not at all for others (ordering %s)', (ordering) => {
  const writes = step.filter((each) => each.do === 'write' || each.do === 'take');
  fc.assert(
    fc.property(fc.array(writes, { maxLength: 40 }), (steps) => {
      const world = new World(ordering);
      for (const each of steps) if (each.do !== 'write' || each.what !== 'move') world.step(each);
      world.end();
      expect(world.requests).toBe(world.expected.size);
    }),
    { numRuns: 500 },
  );
});
