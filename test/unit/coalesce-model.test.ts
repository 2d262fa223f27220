import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { coalesce, type Effect } from '../../src/shape/coalesce.js';
import type { Row } from '../../src/types.js';
import { insert, kwarg, message, placed, reaction, remove, truncate, update, type Unplaced } from './changes.js';

// The net effect against a model: a small database before and after.

/** Each change has two places, because it can touch two messages. */
const placeIn = (effect: Effect): { readonly at: number } => ({ at: Math.floor(effect.place / 2) });

const IDENTITY = ['id', 'timestamp', 'text', 'channel_id', 'user_id'] as const;
const CHILDREN = ['reaction', 'kwarg'] as const;
type ChildName = (typeof CHILDREN)[number];

interface Operation {
  readonly kind:
    'insert' | 'update' | 'touch' | 'move' | 'rename' | 'delete' | 'child' | 'childUpdate' | 'childMove' | 'childDelete' | 'truncate' | 'truncateChildren';
  readonly id: string;
  readonly other: string;
  readonly child: string;
  readonly entity: ChildName;
  readonly text: string;
}

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom('insert', 'update', 'touch', 'move', 'rename', 'delete', 'child', 'childUpdate', 'childMove', 'childDelete') },
    { weight: 4, arbitrary: fc.constantFrom('truncate', 'truncateChildren', 'truncateChildren') },
  ),
  id: fc.constantFrom('1', '2', '3'),
  other: fc.constantFrom('1', '2', '3', '4'),
  child: fc.constantFrom('10', '9', '11'),
  entity: fc.constantFrom(...CHILDREN),
  text: fc.constantFrom('a', 'b', 'c'),
});

/** Applies operations to rows as a database does, and notes what the WAL would say. */
class Model {
  readonly changes: Unplaced[] = [];
  readonly messages = new Map<string, Row>();
  readonly children: Readonly<Record<ChildName, Map<string, Row>>> = { reaction: new Map(), kwarg: new Map() };
  readonly truncates: number[] = [];
  /** message ids in the order in which they were first touched, since the table was last emptied */
  touched = new Map<string, number>();
  /** whose own row was written */
  written = new Set<string>();
  base = new Map<string, Row>();
  readonly #index: boolean;

  /** @param index the replica identity is an index over what a deleted row must show; else it is FULL */
  constructor(index: boolean) {
    this.#index = index;
  }

  /** What is there before the transaction. */
  begin(ids: readonly string[]): void {
    for (const id of ids) {
      this.messages.set(id, message(id));
      this.children.kwarg.set(`${id}0`, kwarg(`${id}0`, id));
    }
    this.base = new Map(this.messages);
  }

  apply({ kind, id, other, child, entity, text }: Operation): void {
    const row = this.messages.get(id);
    const rows = this.children[entity];
    const one = rows.get(child);
    switch (kind) {
      case 'insert':
        return row === undefined ? this.#message(null, message(id, { text })) : undefined;
      case 'update':
        return row === undefined ? undefined : this.#message(row, { ...row, text, user_id: `u${text}` });
      case 'touch':
        return row === undefined ? undefined : this.#message(row, row);
      case 'move':
        return row === undefined ? undefined : this.#message(row, { ...row, channel_id: text });
      case 'rename':
        return row === undefined || this.messages.has(other) ? undefined : this.#message(row, { ...row, id: other });
      case 'delete':
        return row === undefined ? undefined : this.#message(row, null);
      case 'child':
        return one === undefined ? this.#child(entity, null, entity === 'kwarg' ? kwarg(child, id) : reaction(child, id)) : undefined;
      case 'childUpdate':
        return one === undefined ? undefined : this.#child(entity, one, { ...one, [entity === 'kwarg' ? 'key' : 'reaction']: text });
      case 'childMove':
        return one === undefined ? undefined : this.#child(entity, one, { ...one, message_id: other });
      case 'childDelete':
        return one === undefined ? undefined : this.#child(entity, one, null);
      case 'truncate':
        return this.#truncate(['reaction', 'kwarg'], true);
      case 'truncateChildren':
        return this.#truncate([entity], false);
    }
  }

  /** At the commit no child may be without its message. */
  end(): void {
    for (const entity of CHILDREN) {
      for (const row of this.children[entity].values()) if (!this.messages.has(row['message_id'] ?? '')) this.#child(entity, row, null);
    }
  }

  #message(before: Row | null, after: Row | null): void {
    for (const id of [before?.['id'], after?.['id']]) {
      if (typeof id !== 'string') continue;
      this.#touch(id);
      this.written.add(id);
    }
    if (before === null) {
      if (after !== null) this.changes.push(insert('message', after));
    } else {
      const covered = Object.fromEntries(IDENTITY.map((column) => [column, before[column]]));
      this.messages.delete(before['id'] ?? '');
      if (after === null) this.changes.push(remove('message', this.#index ? covered : before));
      else if (!this.#index) this.changes.push(update('message', before, after));
      else if (IDENTITY.some((column) => before[column] !== after[column])) this.changes.push(update('message', covered, after));
      // nothing of the index differs, and the text may be one that is stored outside the row
      else this.changes.push(update('message', null, { ...after, text: undefined }));
    }
    if (after !== null) this.messages.set(after['id'] ?? '', after);
  }

  #child(entity: ChildName, before: Row | null, after: Row | null): void {
    for (const id of [before?.['message_id'], after?.['message_id']]) if (typeof id === 'string') this.#touch(id);
    if (before === null) {
      if (after !== null) this.changes.push(insert(entity, after));
    } else {
      const covered = { id: before['id'], message_id: before['message_id'] };
      if (after === null) {
        this.children[entity].delete(before['id'] ?? '');
        this.changes.push(remove(entity, this.#index ? covered : before));
      } else if (!this.#index) {
        this.changes.push(update(entity, before, after));
      } else {
        this.changes.push(update(entity, before['message_id'] === after['message_id'] ? null : covered, after));
      }
    }
    if (after !== null) this.children[entity].set(after['id'] ?? '', after);
  }

  #truncate(entities: readonly ChildName[], messages: boolean): void {
    this.truncates.push(this.changes.length);
    for (const entity of entities) this.children[entity].clear();
    this.changes.push(truncate(...(messages ? ['message' as const] : []), ...entities));
    if (!messages) return;
    this.messages.clear();
    this.base = new Map();
    this.touched = new Map();
    this.written = new Set();
  }

  #touch(id: string): void {
    if (!this.touched.has(id)) this.touched.set(id, this.changes.length);
  }
}

test('the net effect is the comparison of before and after, once per touched message, in the order of the first touch', () => {
  const start = fc.subarray(['1', '2', '3']);
  fc.assert(
    fc.property(fc.boolean(), start, fc.array(operation, { maxLength: 14 }), (index, ids, operations) => {
      const model = new Model(index);
      model.begin(ids);
      for (const one of operations) model.apply(one);
      model.end();

      const found = coalesce(placed(model.changes));
      expect(found.filter((effect) => effect.kind === 'truncate').map((effect) => placeIn(effect).at)).toEqual(model.truncates);
      const places = found.map((effect) => effect.place);
      expect(places).toEqual([...new Set(places)].toSorted((a, b) => a - b));

      // a message that never was, but had a child for a moment, may be named: nothing will be found of it
      const messages = found
        .filter((effect) => effect.kind === 'message')
        .filter(({ messageId, net, row }) => net !== 'changed' || row !== null || model.base.has(messageId) || model.messages.has(messageId));
      const expected = [...model.touched].flatMap(([messageId, first]) => {
        const before = model.base.get(messageId);
        const after = model.messages.get(messageId);
        if (before === undefined && after === undefined) return [];
        const net = before === undefined ? 'created' : after === undefined ? 'deleted' : before['channel_id'] !== after['channel_id'] ? 'moved' : 'changed';
        return [{ messageId, at: first, net }];
      });
      expect(messages.map((effect) => ({ messageId: effect.messageId, net: effect.net, ...placeIn(effect) }))).toEqual(expected);

      for (const { messageId, net, before, row, children } of messages) {
        const was = model.base.get(messageId);
        const is = model.messages.get(messageId);
        if (net === 'created') {
          expect(row).toEqual(is);
          for (const entity of CHILDREN) {
            const mine = [...model.children[entity].values()].filter((child) => child['message_id'] === messageId);
            expect(children[entity]).toEqual(mine.toSorted((a, b) => Number(a['id']) - Number(b['id'])));
          }
        }
        if (net === 'deleted' || net === 'moved') for (const column of IDENTITY) expect(before?.[column]).toBe(was?.[column]);
        if (net === 'deleted') expect(row?.['channel_id']).not.toBe(undefined);
        if (net === 'changed' && !model.written.has(messageId)) expect(row).toBe(null);
        if ((net === 'changed' && model.written.has(messageId)) || net === 'moved') {
          for (const column of ['id', 'channel_id', 'user_id', 'timestamp']) expect(row?.[column]).toBe(is?.[column]);
          // a text that is stored outside and was never shown stays unknown
          if (row?.['text'] !== undefined) expect(row['text']).toBe(is?.['text']);
        }
      }
    }),
    { numRuns: 3_000 },
  );
});
