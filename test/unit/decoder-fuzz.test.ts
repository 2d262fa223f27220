import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamError } from '../../src/errors.js';
import { Decoder, type WatchedTable } from '../../src/wal/decoder.js';
import { TransactionAssembler } from '../../src/wal/transactions.js';
import { insertMessage, logicalMessage, relationMessage, truncateMessage } from './pgoutput.js';

const table: WatchedTable = { entity: 'message', schema: 'chat', table: 'messages', columns: new Map([['id', 'id'], ['text', 'text']]), required: ['id'] };
const relation = (): Buffer => relationMessage(1, 'chat', 'messages', 'f', [{ name: 'id', key: true, type: 23 }, { name: 'text', key: true, type: 25 }]);

function decodeOrRefuse(decoder: Decoder, bytes: Buffer): void {
  try {
    decoder.decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(StreamError);
  }
}

const valid = fc.constantFrom(relation, () => insertMessage(1, ['1', 'text']), () => truncateMessage([1]), () => logicalMessage('slackchat_bridge', '{"verify":"1"}', true));

test('whatever bytes come as a message of the stream, it is decoded or refused: nothing else is thrown, and nothing is read beyond it', () => {
  const mutated = fc.tuple(valid, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }), fc.nat()).map(([make, changes, cut]) => {
    const bytes = Buffer.from(make());
    for (const [place, byte] of changes) bytes[place % bytes.length] = byte;
    return bytes.subarray(0, cut % 3 === 0 ? cut % (bytes.length + 1) : bytes.length);
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(mutated, fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))), { maxLength: 10 }), (messages) => {
      const decoder = new Decoder([table], 'slackchat_bridge');
      decoder.decode(relation());
      for (const bytes of messages) {
        // As in the socket's own buffer, where other bytes follow: none of them is told.
        const buffer = Buffer.concat([bytes, Buffer.alloc(64, '!')]);
        decodeOrRefuse(decoder, buffer.subarray(0, bytes.length));
      }
    }),
    { numRuns: 3_000 },
  );
});

test('in whatever order messages come, a transaction is put together or refused', () => {
  const message = fc.constantFrom(
    { tag: 'begin', xid: 1, commitLsn: 5n, committedAt: 0 } as const, { tag: 'commit', endLsn: 6n } as const,
    { tag: 'control', content: '{}' } as const, { tag: 'truncate', entities: ['message'] } as const,
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
      const assembler = new TransactionAssembler(1_000);
      try {
        for (const one of messages) {
          const transaction = assembler.push(one, 300);
          if (transaction !== null) expect(transaction.changes.length).toBeLessThanOrEqual(messages.length);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(StreamError);
      }
    }),
  );
});
