import type { PgoutputPlugin, Pgoutput } from 'pg-logical-replication';
import { StreamError } from '../errors.js';
import { parseLsn, type Lsn } from '../lsn.js';
import type { Entity, Row, RowChange } from '../types.js';

/**
 * What the decoder makes of one pgoutput message. Tables that are not watched give null.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export type WalMessage =
  | { readonly tag: 'begin'; readonly xid: number; readonly commitLsn: Lsn; readonly committedAt: number }
  | { readonly tag: 'commit'; readonly endLsn: Lsn }
  | { readonly tag: 'row'; readonly change: RowChange }
  | { readonly tag: 'truncate'; readonly entities: readonly Entity[] }
  | { readonly tag: 'control'; readonly content: string };

/** Where an entity lives and how its columns are really named. */
export interface WatchedTable {
  readonly entity: Entity;
  readonly schema: string;
  readonly table: string;
  /** real column name → logical name, where they differ */
  readonly columns: ReadonlyMap<string, string>;
  /** logical names that must be there */
  readonly required: readonly string[];
}

const raw = (text: string): string => text;
const utf8 = new TextDecoder();

export class Decoder {
  readonly #plugin: PgoutputPlugin;
  readonly #watched = new Map<string, WatchedTable>();
  readonly #entities = new Map<number, Entity>();
  readonly #prefix: string;

  /** @param prefix of the logical messages that are meant for the bridge */
  constructor(plugin: PgoutputPlugin, watched: readonly WatchedTable[], prefix: string) {
    this.#plugin = plugin;
    this.#prefix = prefix;
    for (const table of watched) this.#watched.set(`${table.schema}.${table.table}`, table);
  }

  /**
   * Decodes synchronously, because the buffer is the socket's own and is used again.
   * @throws {StreamError} when a watched table lost a column that the bridge needs
   */
  decode(data: Buffer): WalMessage | null {
    const message = this.#plugin.parse(data);
    switch (message.tag) {
      case 'begin':
        return {
          tag: 'begin',
          // The library reads the xid as signed.
          xid: message.xid >>> 0,
          commitLsn: parseLsn(message.commitLsn ?? '0/0'),
          committedAt: Number(message.commitTime) / 1000,
        };
      case 'commit':
        return { tag: 'commit', endLsn: parseLsn(message.commitEndLsn ?? '0/0') };
      case 'relation':
        this.#learn(message);
        return null;
      case 'insert': {
        const entity = this.#entities.get(message.relation.relationOid);
        return entity === undefined ? null : { tag: 'row', change: { op: 'insert', entity, before: null, after: message.new as Row } };
      }
      case 'update': {
        const entity = this.#entities.get(message.relation.relationOid);
        const before = (message.old ?? message.key) as Row | null;
        return entity === undefined ? null : { tag: 'row', change: { op: 'update', entity, before, after: message.new as Row } };
      }
      case 'delete': {
        const entity = this.#entities.get(message.relation.relationOid);
        const before = (message.old ?? message.key ?? {}) as Row;
        return entity === undefined ? null : { tag: 'row', change: { op: 'delete', entity, before, after: null } };
      }
      case 'truncate': {
        const entities = message.relations
          .map((relation) => this.#entities.get(relation.relationOid))
          .filter((entity) => entity !== undefined);
        return { tag: 'truncate', entities };
      }
      case 'message':
        if (!message.transactional || message.prefix !== this.#prefix) return null;
        return { tag: 'control', content: utf8.decode(message.content) };
      default: // 'origin' and 'type' say nothing that is needed
        return null;
    }
  }

  /**
   * A relation message comes before the first row of a table and again after each change of it.
   * The library would pass values through pg's type parsers, which lose microseconds and digits;
   * its cached relation is changed in place, so tuples come out raw and under logical names.
   */
  #learn(relation: Pgoutput.MessageRelation): void {
    const table = this.#watched.get(`${relation.schema}.${relation.name}`);
    const logical = new Set(table?.columns.values());
    for (const column of relation.columns) {
      column.parser = raw;
      // A column that is not mapped must not pass for one that is.
      column.name = table?.columns.get(column.name) ?? (logical.has(column.name) ? `not mapped: ${column.name}` : column.name);
    }
    relation.keyColumns = relation.columns.filter((column) => (column.flags & 1) === 1).map((column) => column.name);
    if (table === undefined) {
      this.#entities.delete(relation.relationOid);
      return;
    }
    const names = new Set(relation.columns.map((column) => column.name));
    const missing = table.required.filter((name) => !names.has(name));
    if (missing.length > 0) {
      throw new StreamError(
        `table ${table.schema}.${table.table} no longer has the column ${missing.join(', ')} that the bridge reads; ` +
          'nothing is confirmed until it is there again',
      );
    }
    this.#entities.set(relation.relationOid, table.entity);
  }
}
