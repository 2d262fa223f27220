/**
 * Messages of pgoutput as the server writes them, version 1.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */

/** The value of a column that an update left where it was, outside the row. */
export const UNCHANGED = Symbol('unchanged TOAST');
export type Value = string | null | typeof UNCHANGED;

const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;

const byte = (value: number): Buffer => Buffer.from([value]);
const tag = (letter: string): Buffer => Buffer.from(letter, 'ascii');
const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'utf8');

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0);
  return buffer;
}

function int64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt.asUintN(64, value));
  return buffer;
}

function tuple(values: readonly Value[]): Buffer {
  const cells = values.map((value) => {
    if (value === null) return tag('n');
    if (value === UNCHANGED) return tag('u');
    const bytes = Buffer.from(value, 'utf8');
    return Buffer.concat([tag('t'), int32(bytes.length), bytes]);
  });
  return Buffer.concat([int16(values.length), ...cells]);
}

/** @param micros since 1970 */
export function beginMessage(commitLsn: bigint, micros: bigint, xid: number): Buffer {
  return Buffer.concat([tag('B'), int64(commitLsn), int64(micros - POSTGRES_EPOCH_MICROS), int32(xid)]);
}

export function commitMessage(commitLsn: bigint, endLsn: bigint): Buffer {
  return Buffer.concat([tag('C'), byte(0), int64(commitLsn), int64(endLsn), int64(0n)]);
}

export interface RelationColumn {
  readonly name: string;
  readonly key: boolean;
  readonly type: number;
}

export function relationMessage(oid: number, schema: string, name: string, identity: 'd' | 'n' | 'f' | 'i', columns: readonly RelationColumn[]): Buffer {
  const list = columns.map((column) => Buffer.concat([byte(column.key ? 1 : 0), text(column.name), int32(column.type), int32(-1)]));
  return Buffer.concat([tag('R'), int32(oid), text(schema), text(name), tag(identity), int16(columns.length), ...list]);
}

export function insertMessage(oid: number, values: readonly Value[]): Buffer {
  return Buffer.concat([tag('I'), int32(oid), tag('N'), tuple(values)]);
}

export interface OldTuple {
  readonly old?: readonly Value[];
  readonly key?: readonly Value[];
}

function oldTuple({ old, key }: OldTuple): Buffer {
  if (old !== undefined) return Buffer.concat([tag('O'), tuple(old)]);
  return key === undefined ? Buffer.alloc(0) : Buffer.concat([tag('K'), tuple(key)]);
}

export function updateMessage(oid: number, before: OldTuple, after: readonly Value[]): Buffer {
  return Buffer.concat([tag('U'), int32(oid), oldTuple(before), tag('N'), tuple(after)]);
}

export function deleteMessage(oid: number, before: OldTuple): Buffer {
  return Buffer.concat([tag('D'), int32(oid), oldTuple(before)]);
}

export function truncateMessage(oids: readonly number[]): Buffer {
  return Buffer.concat([tag('T'), int32(oids.length), byte(1), ...oids.map(int32)]);
}

export function logicalMessage(prefix: string, content: string, transactional: boolean): Buffer {
  const bytes = Buffer.from(content, 'utf8');
  return Buffer.concat([tag('M'), byte(transactional ? 1 : 0), int64(1n), text(prefix), int32(bytes.length), bytes]);
}

export function originMessage(name: string): Buffer {
  return Buffer.concat([tag('O'), int64(1n), text(name)]);
}

export function typeMessage(oid: number, schema: string, name: string): Buffer {
  return Buffer.concat([tag('Y'), int32(oid), text(schema), text(name)]);
}
