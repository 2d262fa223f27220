import type { Client } from 'pg';

/** One row as test_decoding prints it: column → text. */
export type Tuple = Readonly<Record<string, string | null>>;

export interface Write {
  readonly op: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE';
  /** without "slackchat_"; for TRUNCATE all of them, separated by a space */
  readonly table: string;
  readonly before: Tuple | null;
  readonly after: Tuple | null;
}

/** The writes of one committed transaction to the application's tables. */
export type Committed = readonly Write[];

const LINE = /^table (?<tables>[^:]+): (?<op>INSERT|UPDATE|DELETE|TRUNCATE): (?<rest>[^]*)$/u;
const COLUMN = /(?<name>"[^"]*"|[^\s"[]+)\[(?:[^[\]]|\[\])+\]:(?<value>'(?:[^']|'')*'|\S+) ?/uy;
/** The logical message by which the bridge marks what it writes itself. */
const OWN = /^message: transactional: 1 prefix: slackchat_bridge, sz: \d+ content:\{"own"/u;
const PREFIX = 'public.slackchat_';

/**
 * What was really committed, in commit order, from a slot of its own with PostgreSQL's test_decoding: a view of the
 * WAL that shares no code with the bridge.
 */
export class Journal {
  readonly #client: Client;
  readonly #slot: string;

  constructor(client: Client, slot: string) {
    this.#client = client;
    this.#slot = slot;
  }

  async begin(): Promise<void> {
    await this.#client.query("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", [this.#slot]);
  }

  async drop(): Promise<void> {
    await this.#client.query('SELECT pg_drop_replication_slot($1)', [this.#slot]);
  }

  /** The transactions since it was asked last; those that wrote none of the application's rows, and those of the bridge, are left out. */
  async take(): Promise<readonly Committed[]> {
    const { rows } = await this.#client.query<{ data: string }>("SELECT data FROM pg_logical_slot_get_changes($1, NULL, NULL, 'include-xids', '0', 'skip-empty-xacts', '1')", [this.#slot]);
    const transactions: Write[][] = [];
    const own = new Set<Write[]>();
    for (const { data } of rows) {
      if (data === 'BEGIN') transactions.push([]);
      const newest = transactions.at(-1);
      if (newest !== undefined && OWN.test(data)) own.add(newest);
      const write = parseLine(data);
      if (write !== null) newest?.push(write);
    }
    return transactions.filter((writes) => writes.length > 0 && !own.has(writes));
  }
}

/** @param prefix of the tables that are wanted; it is left out of their names */
export function parseLine(line: string, prefix = PREFIX): Write | null {
  const match = LINE.exec(line)?.groups;
  if (match === undefined) return null;
  const { tables = '', op, rest = '' } = match;
  const names = tables.split(', ').filter((table) => table.startsWith(prefix));
  if (names.length === 0) return null;
  const table = names.map((name) => name.slice(prefix.length)).join(' ');
  switch (op) {
    case 'INSERT':
      return { op, table, before: null, after: parseTuple(rest) };
    case 'DELETE':
      return { op, table, before: parseTuple(rest), after: null };
    case 'UPDATE': {
      const [old = '', fresh] = splitUpdate(rest);
      return { op, table, before: fresh === undefined ? null : parseTuple(old), after: parseTuple(fresh ?? old) };
    }
    default:
      return { op: 'TRUNCATE', table, before: null, after: null };
  }
}

/** "old-key: … new-tuple: …", or the new one alone. A text can contain these words, so the old one is read to its end. */
function splitUpdate(rest: string): readonly [string, string?] {
  if (!rest.startsWith('old-key: ')) return [rest];
  const old = rest.slice('old-key: '.length);
  COLUMN.lastIndex = 0;
  let end = 0;
  while (COLUMN.test(old)) end = COLUMN.lastIndex;
  return [old.slice(0, end), old.slice(end + 'new-tuple: '.length)];
}

function parseTuple(source: string): Tuple {
  const tuple: Record<string, string | null> = {};
  COLUMN.lastIndex = 0;
  for (let match = COLUMN.exec(source); match !== null; match = COLUMN.exec(source)) {
    const { name = '', value = '' } = match.groups ?? {};
    const key = name.replaceAll('"', '');
    if (value !== 'unchanged-toast-datum') tuple[key] = value === 'null' ? null : value.startsWith("'") ? value.slice(1, -1).replaceAll("''", "'") : value;
  }
  return tuple;
}

/** As a recording lists transactions: "INSERT message"; a TRUNCATE by that word alone. */
export function summarize(transactions: readonly Committed[]): readonly string[] {
  return transactions.map((writes) => writes.map(({ op, table }) => (op === 'TRUNCATE' ? op : `${op} ${table}`)).join(', '));
}

/** The same of a recording: tables that are not the chat's (admin log, sessions) are left out. */
export function summarizeRecorded(transactions: readonly (readonly string[])[], tables: ReadonlySet<string>): readonly string[] {
  return transactions
    .map((writes) =>
      writes
        .filter((write) => write.startsWith('table ') || tables.has(write.split(' ')[1] ?? ''))
        .map((write) => (write.startsWith('table ') ? 'TRUNCATE' : write))
        .join(', '),
    )
    .filter((writes) => writes !== '');
}
