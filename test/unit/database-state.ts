import { slackchatMapping, type ChatEntity, type TableMapping } from '../../src/mapping.js';
import type { DatabaseState, TableState } from '../../src/setup/inspect.js';
import { namesWith } from '../../src/setup/names.js';
import { functionsDigest, type Script } from '../../src/setup/scripts.js';
import type { Step } from '../../src/setup/statements.js';
import { catalogOf } from './facts.js';

export const tables = [...slackchatMapping('public', 'slackchat_').values()];
export const names = namesWith({ slot: 'the_slot', publication: 'the_publication' }, tables, null);
export const scripts: readonly Script[] = [
  { kind: 'migration', version: 1, name: '0001_one', sql: 'CREATE TABLE slackchat_bridge.one ()' },
  { kind: 'migration', version: 2, name: '0002_two', sql: 'CREATE TABLE slackchat_bridge.two ()' },
  { kind: 'functions', version: 0, name: 'control', sql: 'CREATE OR REPLACE FUNCTION slackchat_bridge.f() … {{channel.id}} FROM {{channel}}' },
];

export const tableState = (table: TableMapping, over: Partial<TableState> = {}): TableState => ({
  entity: table.entity,
  replicaIdentity: 'd',
  identityColumns: ['id'],
  identityIndex: null,
  ...over,
});
export const allTables = (over: Partial<TableState> = {}): Map<ChatEntity, TableState> => new Map(tables.map((table) => [table.entity, tableState(table, over)]));

/** A database with the chat and nothing of the bridge. */
export const fresh = (over: Partial<DatabaseState> = {}): DatabaseState => ({
  serverVersion: 180_004,
  walLevel: 'logical',
  database: 'chat',
  schemaExists: false,
  applied: [],
  functionsDigest: null,
  meta: new Map(),
  tables: allTables(),
  catalog: catalogOf(tables),
  publishesAll: true,
  published: null,
  misfiltered: new Set(),
  publications: new Map(),
  slot: null,
  slots: new Map(),
  channelOrdered: [],
  scripts,
  ...over,
});
export const slot = { plugin: 'pgoutput', database: 'chat', active: false, activePid: null, walStatus: 'reserved', confirmed: 0n };
/** After a setup. */
export const complete = (over: Partial<DatabaseState> = {}): DatabaseState =>
  fresh({
    schemaExists: true,
    applied: [1, 2],
    functionsDigest: functionsDigest(scripts, tables),
    meta: new Map([['slot', 'the_slot']]),
    tables: allTables({ replicaIdentity: 'f', identityColumns: [] }),
    published: new Set(['slackchat_bridge.webhooks', ...tables.map((table) => `public.${table.table}`)]),
    slot,
    ...over,
  });

export const sql = (steps: readonly Step[]): string => steps.flatMap((step) => step.sql).join(';\n');
export const order = (text: string, ...parts: readonly string[]): number[] => parts.map((part) => text.indexOf(part));
