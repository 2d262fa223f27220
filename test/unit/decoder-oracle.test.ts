import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamError } from '../../src/errors.js';
import { formatLsn } from '../../src/lsn.js';
import { Decoder } from '../../src/wal/decoder.js';
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
  type RelationColumn,
  type Value,
} from './pgoutput.js';
import { Oracle } from './pgoutput-oracle.js';

const OID = 16_400;
const watched = { entity: 'message' as const, schema: 'chat', table: 'posts', columns: new Map<string, string>(), required: [], everyColumn: true };

const identifier = fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/u);
const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((value) => !value.startsWith('\uFEFF') && !value.includes('\0'));
const value = fc.oneof({ weight: 6, arbitrary: text }, fc.constant(null), fc.constant(UNCHANGED));
const lsn = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const micros = fc.bigInt({ min: 946_684_800_000_000n, max: 8_000_000_000_000_000n });

/** A relation and messages of its rows. */
const table = fc
  .record({ identity: fc.constantFrom('d', 'f', 'i', 'n'), names: fc.uniqueArray(identifier, { maxLength: 12 }) })
  .chain(({ identity, names }) => {
    const columns = fc.tuple(...names.map((name) => fc.record({ name: fc.constant(name), key: fc.boolean(), type: fc.constantFrom(20, 25, 114, 1_184) })));
    const tuple = fc.tuple(...names.map(() => value));
    const change = fc.oneof(
      fc.record({ op: fc.constant('insert'), before: fc.constant({}), after: tuple }),
      fc.record({
        op: fc.constantFrom('update', 'delete'),
        before: fc.oneof(
          tuple.map((old) => ({ old })),
          tuple.map((key) => ({ key })),
        ),
        after: tuple,
      }),
      fc.record({ op: fc.constant('update'), before: fc.constant({}), after: tuple }),
    );
    return fc.record({ identity: fc.constant(identity), columns, changes: fc.array(change, { maxLength: 8 }) });
  });

function messages({ identity, columns, changes }: {
  identity: 'd' | 'f' | 'i' | 'n';
  columns: readonly RelationColumn[];
  changes: readonly { op: string; before: { old?: readonly Value[]; key?: readonly Value[] }; after: readonly Value[] }[];
}): Buffer[] {
  const rows = changes.map(({ op, before, after }) => {
    if (op === 'insert') return insertMessage(OID, after);
    return op === 'update' ? updateMessage(OID, before, after) : deleteMessage(OID, before);
  });
  return [relationMessage(OID, 'chat', 'posts', identity, columns), ...rows];
}

test('every row is read as the package\'s parser reads it', () => {
  fc.assert(
    fc.property(table, (generated) => {
      const decoder = new Decoder([watched], 'ours');
      const oracle = new Oracle('ours');
      for (const data of messages(generated)) expect(decoder.decode(data)).toEqual(oracle.read(data));
    }),
    { numRuns: 500 },
  );
});

test('every other message is read as the package\'s parser reads it', () => {
  const other = fc.oneof(
    fc.tuple(lsn, micros, fc.nat({ max: 0xffff_ffff })).map(([at, time, xid]) => beginMessage(at, time, xid)),
    fc.tuple(lsn, lsn).map(([at, end]) => commitMessage(at, end)),
    fc.tuple(fc.constantFrom('ours', 'theirs', ''), text, fc.boolean()).map(([prefix, content, transactional]) => logicalMessage(prefix, content, transactional)),
    fc.array(fc.constant(OID), { maxLength: 4 }).map(truncateMessage),
    identifier.map(originMessage),
    identifier.map((name) => typeMessage(50_000, 'public', name)),
  );
  fc.assert(
    fc.property(fc.array(other, { maxLength: 10 }), (list) => {
      const decoder = new Decoder([watched], 'ours');
      const oracle = new Oracle('ours');
      for (const data of [relationMessage(OID, 'chat', 'posts', 'f', []), ...list]) expect(decoder.decode(data)).toEqual(oracle.read(data));
    }),
    { numRuns: 500 },
  );
});

test('a message that was damaged or cut off is read or refused as such, and nothing beyond its end is read', () => {
  const damage = fc.record({ message: fc.nat(), at: fc.nat(), to: fc.nat({ max: 255 }), cut: fc.option(fc.nat(), { nil: null }) });
  fc.assert(
    fc.property(table, damage, (generated, { message, at, to, cut }) => {
      const list = messages(generated);
      const target = list[message % list.length] ?? Buffer.alloc(0);
      if (target.length > 0) target[at % target.length] = to;
      const decoder = new Decoder([watched], 'ours');
      for (const data of list) {
        const whole = cut === null || data !== target ? data : data.subarray(0, cut % (data.length + 1));
        // What follows in the socket's buffer must not get into the row.
        const shared = Buffer.concat([whole, Buffer.from('SECRET'.repeat(20))]);
        try {
          const decoded = decoder.decode(shared.subarray(0, whole.length));
          expect(JSON.stringify(decoded, (_key, part: unknown) => (typeof part === 'bigint' ? formatLsn(part) : part))).not.toContain('SECRET');
        } catch (error) {
          expect(error).toBeInstanceOf(StreamError);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test('bytes that are no message are refused, whatever they are', () => {
  const tag = fc.constantFrom(...Buffer.from('BCIUDRTMOYX'));
  fc.assert(
    fc.property(tag, fc.uint8Array({ maxLength: 60 }), (kind, rest) => {
      const decoder = new Decoder([watched], 'ours');
      try {
        decoder.decode(Buffer.concat([Buffer.from([kind]), rest]));
      } catch (error) {
        expect(error).toBeInstanceOf(StreamError);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(() => new Decoder([], 'ours').decode(Buffer.alloc(0))).toThrow(StreamError);
});

test.each([
  ['a row of a table that was not announced', insertMessage(1, []), /announce/u],
  ['a length beyond the end', Buffer.from('M\x01\0\0\0\0\0\0\0\x01ours\0\xff\xff\xff\xff', 'latin1'), /too early/u],
  ['a name without an end', Buffer.from('R\0\0\0\x01public', 'latin1'), /no end/u],
  ['a kind that nobody knows', Buffer.from('Z'), /'Z'/u],
])('%s ends the stream and says why', (_name, data, reason) => {
  const decode = (): unknown => new Decoder([watched], 'ours').decode(data);
  expect(decode).toThrow(StreamError);
  expect(decode).toThrow(reason);
});

test.each([
  ['a column too many', insertMessage(OID, ['1', '2']), /2 columns in a table of 1/u],
  ['a binary value', Buffer.concat([insertMessage(OID, [null]).subarray(0, -1), Buffer.from('b\0\0\0\0')]), /'b'/u],
  ['more than its row', Buffer.concat([insertMessage(OID, ['1']), Buffer.from([0])]), /longer/u],
  ['the old row twice', Buffer.concat([updateMessage(OID, { old: ['1'] }, ['1']).subarray(0, 14), Buffer.from('O')]), /'O' where 'N'/u],
])('a row with %s ends the stream and says why', (_name, data, reason) => {
  const decoder = new Decoder([watched], 'ours');
  decoder.decode(relationMessage(OID, 'chat', 'posts', 'f', [{ name: 'id', key: true, type: 23 }]));
  expect(() => decoder.decode(data)).toThrow(StreamError);
  expect(() => decoder.decode(data)).toThrow(reason);
});
