import { StreamError } from '../errors.js';
import type { Lsn } from '../lsn.js';
import type { Entity, Row, RowChange } from '../types.js';
import { Reader } from './reader.js';

/** What the decoder makes of one pgoutput message. Tables that are not watched give null. */
export type WalMessage =
  | { readonly tag: 'begin'; readonly xid: number; readonly commitLsn: Lsn; readonly committedAt: number }
  | { readonly tag: 'commit'; readonly endLsn: Lsn }
  | { readonly tag: 'row'; readonly change: RowChange }
  | { readonly tag: 'truncate'; readonly entities: readonly Entity[] }
  | { readonly tag: 'control'; readonly content: string };

/** Where an entity lives, and which of its columns are read. */
export interface WatchedTable {
  readonly entity: Entity;
  readonly schema: string;
  readonly table: string;
  /** real column name → logical name, of the columns that are read */
  readonly columns: ReadonlyMap<string, string>;
  /** logical names that must be there */
  readonly required: readonly string[];
  /** all other columns are read too, under their own names */
  readonly everyColumn?: boolean;
}

/** A table as the server announced it last. */
interface Relation {
  readonly entity: Entity;
  /** by position: the name under which the column's value goes into the row; null: it is not read */
  readonly names: readonly (string | null)[];
  /** the same, of the columns that the replica identity covers */
  readonly keyNames: readonly (string | null)[];
}

type MutableRow = Record<string, string | null | undefined>;

const POSTGRES_EPOCH_MICROS = 946_684_800_000_000;

/**
 * pgoutput, version 1. Reads the columns that are wanted and steps over the others: 0.35 µs for an
 * inserted message and 0.7 for an updated one, where the package's parser takes 1.2 and 2.9, with
 * text left raw; by its own rules it loses microseconds and digits, and a leading U+FEFF always.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export class Decoder {
  readonly #reader = new Reader();
  readonly #watched = new Map<string, WatchedTable>();
  /** null: not watched */
  readonly #relations = new Map<number, Relation | null>();
  readonly #prefix: string;

  /** @param prefix of the logical messages that are meant for the bridge */
  constructor(watched: readonly WatchedTable[], prefix: string) {
    this.#prefix = prefix;
    for (const table of watched) this.#watched.set(keyOf(table.schema, table.table), table);
  }

  /**
   * Decodes synchronously, because the buffer is the socket's own and is used again.
   * @param from where the message begins
   * @throws {StreamError} when a watched table lost a column that the bridge needs, or the message is malformed
   */
  decode(data: Buffer, from = 0): WalMessage | null {
    const reader = this.#reader;
    reader.begin(data, from);
    const tag = reader.byte();
    switch (tag) {
      case 0x42 /* B */:
        return this.#begin();
      case 0x43 /* C */:
        reader.skip(9); // flags and the commit's begin
        return { tag: 'commit', endLsn: reader.lsn() };
      case 0x49 /* I */:
        return this.#insert(this.#relation());
      case 0x55 /* U */:
        return this.#update(this.#relation());
      case 0x44 /* D */:
        return this.#delete(this.#relation());
      case 0x52 /* R */:
        this.#learn();
        return null;
      case 0x54 /* T */:
        return this.#truncate();
      case 0x4d /* M */:
        return this.#message();
      case 0x4f /* O: origin */:
      case 0x59 /* Y: type */:
        return null;
      default:
        throw new StreamError(`the stream has a message of an unknown kind: ${spell(tag)}`);
    }
  }

  #begin(): WalMessage {
    const reader = this.#reader;
    const commitLsn = reader.lsn();
    const committedAt = (reader.int64() + POSTGRES_EPOCH_MICROS) / 1000;
    return { tag: 'begin', xid: reader.uint32(), commitLsn, committedAt };
  }

  #insert(relation: Relation | null): WalMessage | null {
    if (relation === null) return null;
    this.#expect(0x4e /* N */, this.#reader.byte());
    return { tag: 'row', change: { op: 'insert', entity: relation.entity, before: null, after: this.#last(relation.names, null) } };
  }

  #update(relation: Relation | null): WalMessage | null {
    if (relation === null) return null;
    const { entity, names, keyNames } = relation;
    let before: Row | null = null;
    let old: Row | null = null;
    let part = this.#reader.byte();
    if (part === 0x4f /* O: the whole old row */) before = old = this.#tuple(names, null);
    // Unchanged values are not taken from it: it holds no more than the new row's key.
    else if (part === 0x4b /* K: what the replica identity covers of it */) before = this.#key(keyNames);
    if (before !== null) part = this.#reader.byte();
    this.#expect(0x4e /* N */, part);
    return { tag: 'row', change: { op: 'update', entity, before, after: this.#last(names, old) } };
  }

  #delete(relation: Relation | null): WalMessage | null {
    if (relation === null) return null;
    const { entity, names, keyNames } = relation;
    const part = this.#reader.byte();
    if (part !== 0x4b /* K */) this.#expect(0x4f /* O */, part);
    const before = part === 0x4b ? this.#key(keyNames) : this.#tuple(names, null);
    this.#end();
    return { tag: 'row', change: { op: 'delete', entity, before, after: null } };
  }

  #truncate(): WalMessage {
    const reader = this.#reader;
    const count = reader.uint32();
    reader.skip(1);
    const entities: Entity[] = [];
    for (let index = 0; index < count; index += 1) {
      const relation = this.#relation();
      if (relation !== null) entities.push(relation.entity);
    }
    this.#end();
    return { tag: 'truncate', entities };
  }

  #message(): WalMessage | null {
    const reader = this.#reader;
    const transactional = (reader.byte() & 1) === 1;
    reader.skip(8); // its LSN
    const prefix = reader.name();
    return transactional && prefix === this.#prefix ? { tag: 'control', content: reader.text(reader.uint32()) } : null;
  }

  /** A relation message comes before the first row of a table and again after each change of it. */
  #learn(): void {
    const reader = this.#reader;
    const oid = reader.uint32();
    // A system catalog's schema would come as the empty text.
    const table = this.#watched.get(keyOf(reader.name(), reader.name()));
    reader.skip(1); // replica identity: the columns' flags say it
    const count = reader.uint16();
    const names: (string | null)[] = [];
    const keyNames: (string | null)[] = [];
    for (let index = 0; index < count; index += 1) {
      const isKey = (reader.byte() & 1) === 1;
      const name = nameOf(table, reader.name());
      reader.skip(8); // type and its modifier
      names.push(name);
      keyNames.push(isKey ? name : null);
    }
    this.#end();
    if (table === undefined) {
      this.#relations.set(oid, null);
      return;
    }
    const missing = table.required.filter((name) => !names.includes(name));
    if (missing.length > 0) {
      throw new StreamError(
        `table ${table.schema}.${table.table} no longer has the column ${missing.join(', ')} that the bridge reads; ` +
          'nothing is confirmed until it is there again',
      );
    }
    this.#relations.set(oid, { entity: table.entity, names, keyNames });
  }

  #relation(): Relation | null {
    const oid = this.#reader.uint32();
    const relation = this.#relations.get(oid);
    if (relation === undefined) throw new StreamError(`the stream has a row of a table that it did not announce (oid ${oid})`);
    return relation;
  }

  #last(names: readonly (string | null)[], old: Row | null): MutableRow {
    const row = this.#tuple(names, old);
    this.#end();
    return row;
  }

  /** @param old where an unchanged TOAST value is taken from */
  #tuple(names: readonly (string | null)[], old: Row | null): MutableRow {
    const reader = this.#reader;
    const count = reader.uint16();
    if (count !== names.length) throw new StreamError(`the stream has a row of ${count} columns in a table of ${names.length}`);
    const row: MutableRow = {};
    for (const name of names) {
      const kind = reader.byte();
      if (kind === 0x74 /* t */) {
        const length = reader.uint32();
        if (name === null) reader.skip(length);
        else row[name] = reader.text(length);
      } else if (kind === 0x6e /* n */) {
        if (name !== null) row[name] = null;
      } else if (kind === 0x75 /* u: unchanged TOAST */) {
        if (name !== null) row[name] = old?.[name];
      } else {
        throw new StreamError(`the stream has a value of an unknown kind: ${spell(kind)}`);
      }
    }
    return row;
  }

  /** Columns beyond the key come as null; within it none can be null. */
  #key(keyNames: readonly (string | null)[]): MutableRow {
    const row = this.#tuple(keyNames, null);
    for (const [name, value] of Object.entries(row)) if (value === null) row[name] = undefined;
    return row;
  }

  #expect(wanted: number, found: number): void {
    if (found !== wanted) throw new StreamError(`the stream has a row part ${spell(found)} where ${spell(wanted)} belongs`);
  }

  #end(): void {
    if (!this.#reader.atEnd) throw new StreamError('a message of the stream is longer than what it holds');
  }
}

const keyOf = (schema: string, table: string): string => JSON.stringify([schema, table]);

/** The name under which a column's values go into the row; null: it is not read. */
function nameOf(table: WatchedTable | undefined, column: string): string | null {
  const logical = table?.columns.get(column);
  if (logical !== undefined) return logical;
  if (table?.everyColumn !== true) return null;
  // A column that is not mapped must not pass for one that is, nor for an object's prototype.
  const taken = column === '__proto__' || [...table.columns.values()].includes(column);
  return taken ? `not mapped: ${column}` : column;
}

function spell(code: number): string {
  return code > 0x20 && code < 0x7f ? `'${String.fromCharCode(code)}'` : `0x${code.toString(16).padStart(2, '0')}`;
}
