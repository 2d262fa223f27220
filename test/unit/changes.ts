import type { Change, Entity, Row, Transaction } from '../../src/types.js';

/** A change that still has to get its place in the transaction. */
export type Unplaced = Change extends infer Each ? (Each extends Change ? Omit<Each, 'index'> : never) : never;

export const insert = (entity: Entity, after: Row): Unplaced => ({ kind: 'row', op: 'insert', entity, before: null, after });
export const update = (entity: Entity, before: Row | null, after: Row): Unplaced => ({ kind: 'row', op: 'update', entity, before, after });
export const remove = (entity: Entity, before: Row): Unplaced => ({ kind: 'row', op: 'delete', entity, before, after: null });
export const truncate = (...entities: readonly Entity[]): Unplaced => ({ kind: 'truncate', entities });
export const control = (request: unknown): Unplaced => ({ kind: 'control', content: typeof request === 'string' ? request : JSON.stringify(request) });

/** Gives the changes their places: 0, 1, 2 … */
export function placed(changes: readonly Unplaced[]): Change[] {
  return changes.map((change, index): Change => {
    if (change.kind === 'row') return { ...change, index };
    return { ...change, index };
  });
}

export function transactionOf(xid: number, changes: readonly Unplaced[], over: Partial<Transaction> = {}): Transaction {
  const commitLsn = BigInt(xid) * 0x100n;
  return {
    xid,
    commitLsn,
    endLsn: commitLsn + 0x10n,
    committedAt: 1_539_710_629_000 + xid,
    changes: placed(changes),
    bytes: changes.length * 10,
    part: 0,
    final: true,
    ...over,
  };
}

export const message = (id: string, over: Row = {}): Row => ({
  id,
  timestamp: '2018-10-16 17:23:49.0001+00',
  text: `text ${id}`,
  channel_id: 'c1',
  user_id: 'u1',
  serialized: null,
  ...over,
});
export const reaction = (id: string, messageId: string, over: Row = {}): Row => ({
  id,
  timestamp: '2018-10-16 17:24:00+00',
  reaction: 'heart',
  argument_id: null,
  message_id: messageId,
  user_id: 'u1',
  ...over,
});
export const kwarg = (id: string, messageId: string, over: Row = {}): Row => ({ id, key: 'k', value: 'v', message_id: messageId, ...over });
export const attachment = (id: string, messageId: string, over: Row = {}): Row => ({ id, message_id: messageId, title: 'a title', ...over });
