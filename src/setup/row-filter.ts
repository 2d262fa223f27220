import type { Catalog } from '../catalog.js';
import { quoteIdent, tableName, type TableMapping } from '../mapping.js';
import { shardSql, type Shard } from '../shard.js';

/** By which column rows are shared out: messages by their key, their children by the message's. Everything else goes to all. */
function sharedBy({ entity, columns }: TableMapping): string | null {
  if (entity === 'message') return columns['id'] ?? null;
  return entity === 'reaction' || entity === 'attachment' || entity === 'kwarg' ? (columns['message_id'] ?? null) : null;
}

/** Which rows of the table a shard's publication has; null: all of them. */
export function rowFilter(table: TableMapping, shard: Shard | null, catalog: Catalog): string | null {
  const column = shard === null ? null : sharedBy(table);
  if (shard === null || column === null) return null;
  return shardSql(shard, catalog.get(table.entity)?.columns.get(column)?.type ?? 'bigint', quoteIdent(column));
}

/** @param found as the server repeats it, which quotes only names that need it */
export function isSameFilter(found: string | null, wanted: string | null): boolean {
  const plain = (filter: string | null): string | undefined => filter?.replaceAll(/"|\bpg_catalog\./gu, '');
  return plain(found) === plain(wanted);
}

/** Keys by which PostgreSQL cannot filter rows: only built-in types are allowed there. */
export function filterFaults(tables: readonly TableMapping[], catalog: Catalog): readonly string[] {
  return tables.flatMap((table) => {
    const column = sharedBy(table);
    const facts = column === null ? undefined : catalog.get(table.entity)?.columns.get(column);
    if (facts === undefined || facts.declared.replace(/\(\d+\)$/u, '') === facts.type) return [];
    return [`column ${tableName(table)}.${column ?? ''} is of the domain ${facts.declared}, and row filters accept only built-in types`];
  });
}
