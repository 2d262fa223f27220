import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { errorMessage } from './errors.js';
import { jsonFault } from './json-fault.js';
import {
  CHAT_ENTITIES,
  LAYOUT,
  OPTIONAL_ENTITIES,
  slackchatMapping,
  tableName,
  type ChatEntity,
  type ChatMapping,
  type ColumnKind,
  type TableMapping,
} from './mapping.js';

const NAME = 'a name as the database has it, of 1 to 63 bytes, without $$';

/** The message must not name the value; the path does. */
const fail = (message: string) => ({ error: message });

const name = z.string(fail(NAME)).refine((text) => text !== '' && Buffer.byteLength(text) <= 63 && !/\0|\$\$/u.test(text), fail(NAME));

const schemaName = name.refine((text) => text !== 'slackchat_bridge', fail('a schema of the application; slackchat_bridge is the bridge\'s own'));

function tableShape(entity: ChatEntity) {
  const columns = Object.entries(LAYOUT[entity].columns).map(([logical, { optional }]) => {
    const nullable = z.union([name, z.null()], fail(`${NAME}, or null where there is no such column`));
    return [logical, (optional === undefined ? name : nullable).optional()] as const;
  });
  const table = z.strictObject(
    { schema: schemaName.optional(), table: name.optional(), columns: z.strictObject(Object.fromEntries(columns), fail('an object of columns')).optional() },
    fail(`an object with schema, table and columns${OPTIONAL_ENTITIES.includes(entity) || entity === 'appWebhook' ? ', or null where there is no such table' : ''}`),
  );
  return (OPTIONAL_ENTITIES.includes(entity) || entity === 'appWebhook' ? table.nullable() : table).optional();
}

const mappingFile = z.strictObject(
  {
    tables: z.strictObject(Object.fromEntries(CHAT_ENTITIES.map((entity) => [entity, tableShape(entity)])), fail('an object of tables')).optional(),
    chatTypeName: z.string(fail('a text that is not empty')).min(1, fail('a text that is not empty')).optional(),
  },
  fail('an object with tables and chatTypeName'),
);

interface TableEntry {
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly columns?: Readonly<Record<string, string | null | undefined>> | undefined;
}

interface MappingFile {
  readonly tables?: Readonly<Partial<Record<ChatEntity, TableEntry | null | undefined>>> | undefined;
  readonly chatTypeName?: string | undefined;
}

/** What goes for tables that the file does not mention. */
export interface Defaults {
  readonly schema: string;
  readonly prefix: string;
  readonly appWebhooks: boolean;
}

export type Read = { readonly mapping: ChatMapping } | { readonly faults: readonly string[] };

/** @param path null: there is no file, everything has the application's own names */
export function readMapping(path: string | null, defaults: Defaults): Read {
  if (path === null) return mappingOf({}, defaults);
  let text: string;
  try {
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/u, '');
  } catch (error) {
    return { faults: [`the file cannot be read: ${errorMessage(error)}`] };
  }
  return parseMapping(text, defaults);
}

export function parseMapping(text: string, defaults: Defaults): Read {
  const syntax = jsonFault(text);
  if (syntax !== null) return { faults: [`not JSON: ${syntax}`] };
  const given: unknown = JSON.parse(text);
  const result = mappingFile.safeParse(given);
  if (result.success) return mappingOf(result.data, defaults);
  const { issues } = result.error;
  const faults = issues.flatMap((issue) => issueFaults(issue, given));
  // What does not go together shows in the rest.
  const rest = mappingFile.safeParse(without(given, issues.flatMap(faultyPaths)));
  const further = rest.success ? mappingOf(rest.data, defaults) : { faults: [] };
  const known = issues.flatMap(faultyPaths).map((path) => path.join('.'));
  const more = 'faults' in further ? further.faults.filter((fault) => !known.some((path) => fault.startsWith(`${path}:`) || fault.startsWith(`${path}.`))) : [];
  return { faults: [...faults, ...more] };
}

function faultyPaths(issue: z.core.$ZodIssue): readonly (readonly string[])[] {
  const path = issue.path.map(String);
  return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path];
}

function without(given: unknown, paths: readonly (readonly string[])[], at: readonly string[] = []): unknown {
  if (!isRecord(given)) return given;
  const gone = new Set(paths.filter((path) => path.length === at.length + 1 && at.every((key, index) => path[index] === key)).map((path) => path.at(-1)));
  return Object.fromEntries(Object.entries(given).flatMap(([key, value]) => (gone.has(key) ? [] : [[key, without(value, paths, [...at, key])]])));
}

function issueFaults(issue: z.core.$ZodIssue, given: unknown): readonly string[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${[...path, key].join('.')}: unknown; accepted: ${acceptedKeys(path).join(', ')}`);
  }
  const shown = JSON.stringify(path.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), given)) ?? 'nothing';
  return [`${path.join('.') || 'the file'}: given ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown}; accepted: ${issue.message}`];
}

function acceptedKeys(path: readonly string[]): readonly string[] {
  const entity = CHAT_ENTITIES.find((known) => known === path[1]);
  if (path.length === 0) return ['tables', 'chatTypeName'];
  if (entity === undefined) return CHAT_ENTITIES;
  return path.length === 2 ? ['schema', 'table', 'columns'] : Object.keys(LAYOUT[entity].columns);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** What the file says beside what it leaves to the application's own names, or why that does not go together. */
function mappingOf(file: MappingFile, defaults: Defaults): Read {
  const faults: string[] = [];
  const own = slackchatMapping(defaults.schema, defaults.prefix, true);
  const absent = absentEntities(file, defaults, faults);
  const tables = new Map<ChatEntity, TableMapping>();
  const taken = new Map<string, ChatEntity>();
  for (const [entity, table] of own) {
    if (absent.has(entity)) continue;
    const entry = file.tables?.[entity] ?? null;
    const mapped = entry === null ? { ...table, columns: withoutReferences(table, absent) } : { ...table, schema: entry.schema ?? table.schema, table: entry.table ?? table.table, ...columnsOf(entity, entry, absent, faults) };
    const other = taken.get(tableName(mapped));
    if (other !== undefined) faults.push(`tables.${entity}: ${tableName(mapped)} is mapped for ${other} already; accepted: a table of its own`);
    taken.set(tableName(mapped), entity);
    tables.set(entity, mapped);
  }
  const chatTypeName = file.chatTypeName ?? null;
  if (chatTypeName === null && absent.has('chatType') && tables.get('channel')?.columns['chat_type_id'] === undefined) {
    faults.push('chatTypeName: missing; accepted: the name that is sent as chat_type, because channels have no chat type');
  }
  return faults.length > 0 ? { faults } : { mapping: { tables, chatTypeName } };
}

/** Which tables this database does without: those that the file says so of, and those that nothing refers to. */
function absentEntities(file: MappingFile, defaults: Defaults, faults: string[]): ReadonlySet<ChatEntity> {
  const tables = file.tables ?? {};
  const absent = new Set<ChatEntity>(CHAT_ENTITIES.filter((entity) => tables[entity] === null));
  if (!defaults.appWebhooks) absent.add('appWebhook');
  else if (absent.has('appWebhook')) faults.push('tables.appWebhook: given null; accepted: a table, because APP_WEBHOOKS is mirror');
  const useless = (entity: ChatEntity, why: string): void => {
    if (tables[entity] !== undefined && tables[entity] !== null) faults.push(`tables.${entity}: mapped, but ${why}; accepted: null`);
    absent.add(entity);
  };
  if (absent.has('reaction')) useless('argument', 'there are no reactions that could refer to it');
  else if (tables.reaction?.columns?.['argument_id'] === null) useless('argument', 'tables.reaction.columns.argument_id is null');
  if (tables.channel?.columns?.['chat_type_id'] === null) useless('chatType', 'tables.channel.columns.chat_type_id is null');
  if (absent.has('chatType')) useless('template', 'there are no chat types that could have templates');
  return absent;
}

function columnsOf(entity: ChatEntity, entry: TableEntry, absent: ReadonlySet<ChatEntity>, faults: string[]): Pick<TableMapping, 'columns' | 'optional'> {
  const columns: Record<string, string> = {};
  const optional: string[] = [];
  const layout = Object.entries(LAYOUT[entity].columns);
  const named = new Map<string, string>();
  for (const [logical] of layout) {
    const column = entry.columns?.[logical];
    if (typeof column !== 'string') continue;
    const other = named.get(column);
    if (other !== undefined) faults.push(`tables.${entity}.columns.${logical}: ${JSON.stringify(column)} is mapped to ${other} already; accepted: a column of its own`);
    named.set(column, logical);
  }
  for (const [logical, { kind, optional: canBeAbsent }] of layout) {
    const column = entry.columns?.[logical];
    if (column === null) continue;
    if (column === undefined && canBeAbsent !== undefined) {
      // A column of that name that is something else, or that refers to a table that is not there.
      if (named.has(logical) || isAbsent(kind, absent)) continue;
      optional.push(logical);
    } else if (column === undefined && named.has(logical)) {
      faults.push(`tables.${entity}.columns.${logical}: missing; accepted: a column, because ${JSON.stringify(logical)} is mapped to ${named.get(logical) ?? ''}`);
    }
    columns[logical] = column ?? logical;
  }
  return { columns, optional };
}

/** A reference to a table that is not there counts only where the file names its column. */
function withoutReferences({ entity, columns }: TableMapping, absent: ReadonlySet<ChatEntity>): Readonly<Record<string, string>> {
  const layout = LAYOUT[entity].columns;
  return Object.fromEntries(Object.entries(columns).filter(([logical]) => layout[logical]?.optional === undefined || !isAbsent(layout[logical].kind, absent)));
}

function isAbsent(kind: ColumnKind, absent: ReadonlySet<ChatEntity>): boolean {
  return CHAT_ENTITIES.some((entity) => entity === kind && absent.has(entity));
}
