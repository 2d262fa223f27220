import { describe, expect, test } from 'vitest';
import { StreamError } from '../../src/errors.js';
import { slackchatMapping } from '../../src/mapping.js';
import { Decoder, type WatchedTable } from '../../src/wal/decoder.js';
import {
  beginMessage,
  commitMessage,
  deleteMessage,
  insertMessage,
  logicalMessage,
  originMessage,
  relationMessage,
  truncateMessage,
  typeMessage,
  UNCHANGED,
  updateMessage,
} from './pgoutput.js';

const MESSAGE = 1_001;
const REACTION = 1_002;
const OTHER = 1_003;

const watched: readonly WatchedTable[] = [
  {
    entity: 'message',
    schema: 'chat',
    table: 'posts',
    columns: new Map([
      ['id', 'id'],
      ['timestamp', 'timestamp'],
      ['body', 'text'],
      ['room', 'channel_id'],
      ['extra', 'extra'],
    ]),
    required: ['id', 'timestamp', 'text', 'channel_id'],
  },
  { entity: 'reaction', schema: 'chat', table: 'reactions', columns: new Map([['id', 'id']]), required: ['id'] },
];

const decoder = (): Decoder => new Decoder(watched, 'slackchat_bridge');

const TIMESTAMPTZ = 1_184;
const MESSAGE_COLUMNS = [
  { name: 'id', key: true, type: 23 },
  { name: 'timestamp', key: true, type: TIMESTAMPTZ },
  { name: 'body', key: true, type: 25 },
  { name: 'room', key: true, type: 2_950 },
  { name: 'extra', key: false, type: 114 },
];
const messageRelation = (identity: 'd' | 'f' | 'i' | 'n' = 'f'): Buffer => relationMessage(MESSAGE, 'chat', 'posts', identity, MESSAGE_COLUMNS);
const values = ['7', '2018-10-16 17:23:49.000123+00', 'a text', 'c1', '{"n": 12345678901234567890.10}'];
const logical = { id: '7', timestamp: '2018-10-16 17:23:49.000123+00', text: 'a text', channel_id: 'c1', extra: '{"n": 12345678901234567890.10}' };

describe('begin and commit', () => {
  test('carry the positions, the time in milliseconds and the xid without its sign', () => {
    const stream = decoder();
    expect(stream.decode(beginMessage(0x16_b374_d848n, 1_539_710_629_000_123n, 4_294_967_290))).toEqual({
      tag: 'begin',
      xid: 4_294_967_290,
      commitLsn: 0x16_b374_d848n,
      committedAt: 1_539_710_629_000.123,
    });
    expect(stream.decode(commitMessage(0x16_b374_d848n, 0x16_b374_d8a0n))).toEqual({ tag: 'commit', endLsn: 0x16_b374_d8a0n });
  });

  test('at the very beginning of the log are at 0/0', () => {
    expect(decoder().decode(beginMessage(0n, 0n, 1))).toMatchObject({ commitLsn: 0n });
  });
});

describe('a row', () => {
  test('has the raw text of each value under the logical name of its column', () => {
    const stream = decoder();
    expect(stream.decode(messageRelation())).toBe(null);
    expect(stream.decode(insertMessage(MESSAGE, values))).toEqual({ tag: 'row', change: { op: 'insert', entity: 'message', before: null, after: logical } });
  });

  test('keeps null apart from the empty text, and every character', () => {
    const stream = decoder();
    stream.decode(messageRelation());
    const text = 'ein "Satz"\n\t\\ mit \u{1F600} und \u0301';
    expect(stream.decode(insertMessage(MESSAGE, ['7', values[1] ?? '', text, '', null]))).toMatchObject({
      change: { after: { text, channel_id: '', extra: null } },
    });
  });

  test('that is updated has its old row under REPLICA IDENTITY FULL, and its unchanged TOAST values from there', () => {
    const stream = decoder();
    stream.decode(messageRelation());
    expect(stream.decode(updateMessage(MESSAGE, { old: values }, ['7', values[1] ?? '', UNCHANGED, 'c2', UNCHANGED]))).toEqual({
      tag: 'row',
      change: { op: 'update', entity: 'message', before: logical, after: { ...logical, channel_id: 'c2' } },
    });
  });

  test('that is updated under an index comes without its old row, or with what the index covers; what is left out is undefined', () => {
    const stream = decoder();
    stream.decode(messageRelation('i'));
    expect(stream.decode(updateMessage(MESSAGE, {}, ['7', values[1] ?? '', UNCHANGED, 'c1', UNCHANGED]))).toEqual({
      tag: 'row',
      change: { op: 'update', entity: 'message', before: null, after: { ...logical, text: undefined, extra: undefined } },
    });
    const keyed = stream.decode(updateMessage(MESSAGE, { key: ['6', values[1] ?? '', 'old', 'c1', null] }, values));
    expect(keyed).toEqual({
      tag: 'row',
      change: { op: 'update', entity: 'message', before: { id: '6', timestamp: values[1], text: 'old', channel_id: 'c1' }, after: logical },
    });
  });

  test('that is deleted shows the old row, or what the identity covers of it', () => {
    const stream = decoder();
    stream.decode(messageRelation());
    expect(stream.decode(deleteMessage(MESSAGE, { old: values }))).toEqual({
      tag: 'row',
      change: { op: 'delete', entity: 'message', before: logical, after: null },
    });
    const [id, ...rest] = MESSAGE_COLUMNS;
    stream.decode(relationMessage(MESSAGE, 'chat', 'posts', 'd', [...(id === undefined ? [] : [id]), ...rest.map((column) => ({ ...column, key: false }))]));
    expect(stream.decode(deleteMessage(MESSAGE, { key: ['7', null, null, null, null] }))).toEqual({
      tag: 'row',
      change: { op: 'delete', entity: 'message', before: { id: '7' }, after: null },
    });
  });

  test('of a table that is not watched is nothing, also one of the same name in another schema', () => {
    const stream = decoder();
    stream.decode(relationMessage(OTHER, 'public', 'posts', 'f', MESSAGE_COLUMNS));
    expect(stream.decode(insertMessage(OTHER, values))).toBe(null);
    expect(stream.decode(updateMessage(OTHER, { old: values }, values))).toBe(null);
    expect(stream.decode(deleteMessage(OTHER, { old: values }))).toBe(null);
  });

  test('has no more columns than are wanted; of every column, those that are not mapped have their own names', () => {
    const columns = ['id', 'body', 'text', '__proto__', 'other'].map((name) => ({ name, key: true, type: 25 }));
    const [table] = watched;
    if (table === undefined) throw new Error('no table');
    const read = (everyColumn: boolean): unknown => {
      const stream = new Decoder([{ ...table, columns: new Map([['id', 'id'], ['body', 'text']]), required: ['id', 'text'], everyColumn }], 'x');
      stream.decode(relationMessage(MESSAGE, 'chat', 'posts', 'f', columns));
      return stream.decode(deleteMessage(MESSAGE, { old: ['1', '2', '3', '4', '5'] }));
    };
    expect(read(false)).toMatchObject({ change: { before: { id: '1', text: '2' } } });
    expect(Object.keys((read(false) as { change: { before: object } }).change.before)).toEqual(['id', 'text']);
    expect(read(true)).toMatchObject({ change: { before: { id: '1', text: '2', 'not mapped: text': '3', 'not mapped: __proto__': '4', other: '5' } } });
  });

  test('keeps a U+FEFF at the begin of a text', () => {
    const stream = decoder();
    stream.decode(messageRelation());
    const text = '\uFEFFa text';
    expect(stream.decode(insertMessage(MESSAGE, ['7', null, text, 'c1', null]))).toMatchObject({ change: { after: { text } } });
  });

  test('is not told of by a buffer that is used again', () => {
    const stream = decoder();
    stream.decode(messageRelation());
    const buffer = insertMessage(MESSAGE, values);
    const row = stream.decode(buffer);
    buffer.fill(0x78);
    expect(row).toEqual({ tag: 'row', change: { op: 'insert', entity: 'message', before: null, after: logical } });
  });

  test('follows its table through changes of columns and of names', () => {
    const stream = decoder();
    stream.decode(messageRelation());
    stream.decode(relationMessage(MESSAGE, 'chat', 'posts', 'f', [...MESSAGE_COLUMNS.slice(1), { name: 'id', key: true, type: 20 }]));
    expect(stream.decode(insertMessage(MESSAGE, [...values.slice(1), '8']))).toMatchObject({ change: { after: { ...logical, id: '8' } } });
    stream.decode(relationMessage(MESSAGE, 'chat', 'posts_old', 'f', MESSAGE_COLUMNS));
    expect(stream.decode(insertMessage(MESSAGE, values))).toBe(null);
  });
});

test('a watched table without a column that is needed stops the stream, and names table and column', () => {
  const stream = decoder();
  const lose = (): unknown =>
    stream.decode(
      relationMessage(
        MESSAGE,
        'chat',
        'posts',
        'f',
        MESSAGE_COLUMNS.filter((column) => column.name !== 'body'),
      ),
    );
  expect(lose).toThrow(StreamError);
  expect(lose).toThrow(/chat\.posts.*text/u);
});

test('every table of the application is understood under its own column names', () => {
  const tables = [...slackchatMapping('public', 'slackchat_').values()];
  const all = tables.map(({ entity, schema, table, columns, optional }): WatchedTable => ({
    entity,
    schema,
    table,
    columns: new Map(Object.entries(columns).map(([name, real]) => [real, name])),
    required: Object.keys(columns).filter((name) => !optional.includes(name)),
  }));
  const stream = new Decoder(all, 'x');
  for (const [oid, { entity, schema, table, columns, optional }] of tables.entries()) {
    const names = Object.keys(columns).filter((name) => !optional.includes(name));
    stream.decode(
      relationMessage(
        oid,
        schema,
        table,
        'f',
        names.map((name) => ({ name, key: true, type: 25 })),
      ),
    );
    expect(stream.decode(insertMessage(oid, names))).toEqual({
      tag: 'row',
      change: { op: 'insert', entity, before: null, after: Object.fromEntries(names.map((name) => [name, name])) },
    });
  }
});

test('a truncate names the watched ones of its tables', () => {
  const stream = decoder();
  stream.decode(messageRelation());
  stream.decode(relationMessage(REACTION, 'chat', 'reactions', 'f', [{ name: 'id', key: true, type: 23 }]));
  stream.decode(relationMessage(OTHER, 'chat', 'other', 'd', []));
  expect(stream.decode(truncateMessage([OTHER, REACTION, MESSAGE]))).toEqual({ tag: 'truncate', entities: ['reaction', 'message'] });
});

describe('a logical message', () => {
  test('with our prefix in a transaction is a request', () => {
    expect(decoder().decode(logicalMessage('slackchat_bridge', '{"verify":"1 ü"}', true))).toEqual({ tag: 'control', content: '{"verify":"1 ü"}' });
  });

  test('of somebody else, or outside a transaction, is nothing', () => {
    for (const prefix of ['slackchat', 'slackchat_bridge2', '']) expect(decoder().decode(logicalMessage(prefix, '{}', true))).toBe(null);
    expect(decoder().decode(logicalMessage('slackchat_bridge', '{}', false))).toBe(null);
  });
});

test('origins and types are nothing', () => {
  expect(decoder().decode(originMessage('elsewhere'))).toBe(null);
  expect(decoder().decode(typeMessage(50_000, 'public', 'citext'))).toBe(null);
});
