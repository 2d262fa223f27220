import type { Catalog, ColumnFacts, TableFacts } from '../../src/catalog.js';
import { LAYOUT, type TableMapping } from '../../src/mapping.js';

const TYPES: Readonly<Record<string, string>> = { timestamp: 'timestamp with time zone', boolean: 'boolean', number: 'smallint', json: 'jsonb', any: 'jsonb', text: 'text', channel: 'uuid' };

export function columnFacts(type: string, over: Partial<ColumnFacts> = {}): ColumnFacts {
  return { type, declared: type, isEnum: false, generated: false, unique: false, vague: false, ...over };
}

/** A table as the application has it: channels' keys uuids, all others integers. */
export function tableFacts(table: TableMapping, over: Partial<TableFacts> = {}): TableFacts {
  const columns = Object.entries(table.columns).map(([logical, real]) => {
    const kind = LAYOUT[table.entity].columns[logical]?.kind ?? 'any';
    const isKey = kind === 'key';
    return [real, columnFacts(isKey && table.entity === 'channel' ? 'uuid' : (TYPES[kind] ?? 'integer'), { unique: isKey })] as const;
  });
  return { kind: 'r', persistence: 'p', inherited: false, columns: new Map(columns), ...over };
}

export function catalogOf(tables: readonly TableMapping[]): Catalog {
  return new Map(tables.map((table) => [table.entity, tableFacts(table)]));
}

export function withoutColumns(table: TableMapping, ...gone: readonly string[]): TableFacts {
  const facts = tableFacts(table);
  return { ...facts, columns: new Map([...facts.columns].filter(([column]) => !gone.includes(column))) };
}
