import type { Client } from 'pg';
import { instant } from './instant.js';
import type { Committed, Tuple } from './journal.js';
import { field, parseJson, text, type Json } from './json.js';

/**
 * Which row a payload is about. A payload has no id: its timestamp, unique over all channels, is the message's
 * identity. The application may spell it as it was given (`serialized` then has that spelling too).
 */
export class Rows {
  readonly #zone: string;
  /** message id → its timestamp, in each spelling */
  readonly #known = new Map<string, Set<string>>();
  #step = new Map<string, Set<string>>();
  /** messages one of whose children was updated: the physical order of these need not be that of their ids any more */
  readonly reordered = new Set<string>();

  constructor(zone: string) {
    this.#zone = zone;
  }

  async load(client: Client): Promise<void> {
    const { rows } = await client.query<Record<string, string | null>>('SELECT id::text, "timestamp"::text, serialized::text FROM slackchat_message');
    for (const row of rows) this.#known.set(row['id'] ?? '', this.#keys(row));
  }

  /** A step is done; from now on its messages are asked for. */
  apply(transactions: readonly Committed[]): void {
    this.#step = new Map();
    for (const { op, table, before, after } of transactions.flat()) {
      if (table !== 'message') {
        if (op === 'UPDATE') this.reordered.add(after?.['message_id'] ?? '');
        for (const id of [before?.['message_id'], after?.['message_id']]) if (typeof id === 'string') this.#touch(id, null);
        continue;
      }
      for (const tuple of [before, after]) if (tuple !== null) this.#touch(tuple['id'] ?? '', tuple);
      if (after !== null) this.#known.set(after['id'] ?? '', this.#keys(after));
      if (before !== null && before['id'] !== after?.['id']) this.#known.delete(before['id'] ?? '');
    }
  }

  /** Of the messages that the step touched, those that have or had the timestamp of this payload. */
  find(message: Json | undefined): readonly string[] {
    const stamp = text(field(message, 'timestamp')) ?? '';
    const key = instant(stamp, this.#zone);
    return [...this.#step].flatMap(([id, keys]) => (keys.has(stamp) || (key !== null && keys.has(key)) ? [id] : []));
  }

  #touch(id: string, tuple: Tuple | null): void {
    const keys = this.#step.get(id) ?? new Set(this.#known.get(id) ?? []);
    this.#step.set(id, keys);
    if (tuple !== null) for (const key of this.#keys(tuple)) keys.add(key);
  }

  #keys(tuple: Tuple): Set<string> {
    const keys = new Set<string>();
    const { timestamp, serialized } = tuple;
    const stored = typeof serialized === 'string' ? text(field(parseJson(serialized), 'timestamp')) : undefined;
    for (const stamp of [timestamp, stored]) {
      if (typeof stamp !== 'string') continue;
      keys.add(stamp);
      const key = instant(stamp, this.#zone);
      if (key !== null) keys.add(key);
    }
    return keys;
  }
}
