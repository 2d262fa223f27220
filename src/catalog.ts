import type pg from 'pg';
import { PreconditionError } from './errors.js';
import { LAYOUT, OPTIONAL_ENTITIES, tableName, type ChatEntity, type ColumnKind, type Mapping, type Reference, type TableMapping } from './mapping.js';

export interface ColumnFacts {
  /** the type without length or precision; of a domain, what it is made of */
  readonly type: string;
  /** as it was declared */
  readonly declared: string;
  readonly isEnum: boolean;
  readonly generated: boolean;
  /** never NULL, and no two rows have the same value */
  readonly unique: boolean;
  /** by its collation, texts that differ can be equal */
  readonly vague: boolean;
}

/** What the catalog says of a mapped table. */
export interface TableFacts {
  /** pg_class.relkind: 'r' a table, 'p' a partitioned one, 'v' a view, … */
  readonly kind: string;
  /** 'p' permanent, 'u' unlogged, 't' temporary */
  readonly persistence: string;
  /** other tables inherit from it */
  readonly inherited: boolean;
  /** by real name */
  readonly columns: ReadonlyMap<string, ColumnFacts>;
}

export type Catalog = ReadonlyMap<ChatEntity, TableFacts>;

const CATALOG_SQL = `
  SELECT n.nspname AS schema_name, c.relname AS table_name, c.relkind::text AS kind, c.relpersistence::text AS persistence,
         EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid)::text AS inherited,
         a.attname AS column_name, format_type(base.oid, NULL) AS type, format_type(a.atttypid, a.atttypmod) AS declared,
         (base.typtype = 'e')::text AS is_enum, (a.attgenerated <> '')::text AS generated,
         (a.attnotnull AND EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
         ))::text AS is_unique,
         EXISTS (SELECT FROM pg_collation l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic)::text AS vague
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN LATERAL (
      WITH RECURSIVE made_of AS (
        SELECT t.oid, t.typtype, t.typbasetype FROM pg_type t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.oid, t.typtype, t.typbasetype FROM made_of d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd'
      )
      SELECT m.oid, m.typtype FROM made_of m WHERE m.typtype <> 'd'
    ) base ON true
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))`;

type Flag = 'true' | 'false';

interface CatalogRow {
  readonly schema_name: string;
  readonly table_name: string;
  readonly kind: string;
  readonly persistence: string;
  readonly inherited: Flag;
  /** null: the table has no columns */
  readonly column_name: string | null;
  readonly type: string;
  readonly declared: string;
  readonly is_enum: Flag;
  readonly generated: Flag;
  readonly is_unique: Flag;
  readonly vague: Flag;
}

/** Tables that are not there are left out. */
export async function readCatalog(client: Pick<pg.ClientBase, 'query'>, tables: readonly TableMapping[]): Promise<Catalog> {
  const found = await client.query<CatalogRow>(CATALOG_SQL, [tables.map(({ schema }) => schema), tables.map(({ table }) => table)]);
  const facts = new Map<string, Omit<TableFacts, 'columns'> & { readonly columns: Map<string, ColumnFacts> }>();
  for (const row of found.rows) {
    const name = tableName({ schema: row.schema_name, table: row.table_name });
    const table = facts.get(name) ?? { kind: row.kind, persistence: row.persistence, inherited: row.inherited === 'true', columns: new Map() };
    facts.set(name, table);
    if (row.column_name !== null) table.columns.set(row.column_name, columnFacts(row));
  }
  return new Map(
    tables.flatMap((table) => {
      const known = facts.get(tableName(table));
      return known === undefined ? [] : [[table.entity, known]];
    }),
  );
}

function columnFacts(row: CatalogRow): ColumnFacts {
  return {
    type: row.type,
    declared: row.declared,
    isEnum: row.is_enum === 'true',
    generated: row.generated === 'true',
    unique: row.is_unique === 'true',
    vague: row.vague === 'true',
  };
}

/** Without the optional columns that this database does not have. */
export function present(tables: Iterable<TableMapping>, catalog: Catalog): Mapping {
  return new Map(
    [...tables].map((table) => {
      const facts = catalog.get(table.entity);
      const columns = Object.entries(table.columns).filter(([, column]) => facts?.columns.has(column) === true);
      return [table.entity, { ...table, columns: Object.fromEntries(columns) }];
    }),
  );
}

const INTEGERS = ['smallint', 'integer', 'bigint'];
const TEXTS = ['text', 'character varying'];
const KEYS = [...INTEGERS, 'uuid', ...TEXTS];

/** Types whose text is the same in the WAL and in a query. */
const ACCEPTED: Readonly<Record<Exclude<ColumnKind, 'any' | Reference>, readonly string[]>> = {
  key: KEYS,
  text: [...TEXTS, 'citext', 'an enum', 'json', 'jsonb', 'uuid', 'numeric', ...INTEGERS],
  timestamp: ['timestamp with time zone', 'timestamp without time zone'],
  boolean: ['boolean'],
  number: [...INTEGERS, 'numeric', 'real', 'double precision'],
  json: ['jsonb', 'json'],
};

/** @throws {PreconditionError} saying of every table and column why the bridge cannot work with it */
export function refuseMisfit(tables: readonly TableMapping[], catalog: Catalog): void {
  const faults = mappingFaults(tables, catalog);
  if (faults.length === 0) return;
  throw new PreconditionError(`the database does not hold the chat tables (SOURCE_SCHEMA, TABLE_PREFIX, MAPPING_FILE):\n  ${faults.join('\n  ')}`);
}

export function mappingFaults(tables: readonly TableMapping[], catalog: Catalog): readonly string[] {
  return tables.flatMap((table) => {
    const facts = catalog.get(table.entity);
    if (facts === undefined) {
      const absent = OPTIONAL_ENTITIES.includes(table.entity) ? ` (a database without one says "${table.entity}": null in MAPPING_FILE)` : '';
      return [`table ${tableName(table)} does not exist${absent}`];
    }
    const unfit = unfitTable(facts);
    return unfit === null ? columnFaults(table, facts, tables, catalog) : [`${tableName(table)} ${unfit}`];
  });
}

function unfitTable(facts: TableFacts): string | null {
  if (facts.kind === 'v' || facts.kind === 'm') return 'is a view, whose changes are not in the WAL: map the table that it is made of';
  if (facts.kind === 'f') return 'is a foreign table, whose changes are not in the WAL of this server';
  if (facts.kind === 'p') return 'is partitioned, which is not supported: partitions do not take over its replica identity, and the stream does not show that one is truncated';
  if (facts.inherited) return 'has tables that inherit from it, which is not supported';
  if (facts.persistence !== 'p') return `is ${facts.persistence === 'u' ? 'unlogged' : 'temporary'}, so its changes are not in the WAL`;
  return null;
}

function columnFaults(table: TableMapping, facts: TableFacts, tables: readonly TableMapping[], catalog: Catalog): readonly string[] {
  return Object.entries(table.columns).flatMap(([logical, column]) => {
    const name = `column ${tableName(table)}.${column}`;
    const found = facts.columns.get(column);
    const kind = LAYOUT[table.entity].columns[logical]?.kind ?? 'any';
    if (found === undefined) return table.optional.includes(logical) ? [] : [`${name} does not exist`];
    const away = table.optional.includes(logical) ? `; "${logical}": null in MAPPING_FILE leaves it out` : '';
    const unfit = kind === 'any' ? null : unfitColumn(kind, found, tables, catalog);
    return unfit === null ? [] : [`${name} ${unfit}${away}`];
  });
}

function unfitColumn(kind: Exclude<ColumnKind, 'any'>, column: ColumnFacts, tables: readonly TableMapping[], catalog: Catalog): string | null {
  if (column.generated) return 'is generated, and such columns are not in the stream';
  const target = tables.find(({ entity }) => entity === kind);
  const standsForItself = target === undefined;
  const values = isValueKind(kind) ? kind : standsForItself ? 'text' : 'key';
  const type = column.isEnum ? 'an enum' : column.type.replace(/^.*\.citext$/u, 'citext');
  if (!ACCEPTED[values].includes(type)) return `is ${column.declared}; accepted: ${ACCEPTED[values].join(', ')}`;
  if (values === 'key' && column.vague) return 'has a collation that takes different texts for equal; accepted: a deterministic one';
  if (kind === 'key') return column.unique ? null : 'is no key: it must be NOT NULL and have a unique index of its own';
  if (isValueKind(kind) || target === undefined) return null;
  const key = catalog.get(target.entity)?.columns.get(target.columns['id'] ?? '');
  if (key === undefined || !KEYS.includes(key.type) || keyClass(key.type) === keyClass(type)) return null;
  return `is ${column.declared}, but the key that it refers to, ${tableName(target)}.${target.columns['id'] ?? 'id'}, is ${key.declared}`;
}

function isValueKind(kind: ColumnKind): kind is keyof typeof ACCEPTED {
  return kind in ACCEPTED;
}

/** Keys of one class are compared with one another. */
function keyClass(type: string): 'integer' | 'uuid' | 'text' {
  if (INTEGERS.includes(type)) return 'integer';
  return type === 'uuid' ? 'uuid' : 'text';
}

/** A type that holds every key of the entity and everything that refers to it. */
export function keyType(entity: ChatEntity, tables: Iterable<TableMapping>, catalog: Catalog): string {
  const types = [...tables].flatMap((table) =>
    Object.entries(table.columns).flatMap(([logical, column]) => {
      const kind = LAYOUT[table.entity].columns[logical]?.kind;
      const isKey = kind === 'key' && table.entity === entity;
      return isKey || kind === entity ? (catalog.get(table.entity)?.columns.get(column)?.type ?? []) : [];
    }),
  );
  return INTEGERS.findLast((type) => types.includes(type)) ?? (types.includes('uuid') ? 'uuid' : 'text');
}
