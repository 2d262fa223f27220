import { InvalidArgumentError } from 'commander';

export type Row = Readonly<Record<string, unknown>>;

/** For people: the columns given, aligned, without trailing spaces. What would steer a terminal is left out. */
export function table(columns: readonly string[], rows: readonly Row[]): string {
  const cells = [columns.map((name) => name.replaceAll('_', ' ')), ...rows.map((row) => columns.map((name) => cell(row[name])))];
  const widths = columns.map((_name, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  return cells.map((line) => line.map((text, index) => text.padEnd(widths[index] ?? 0)).join('  ').trimEnd()).join('\n');
}

/** One JSON array, or a table, or what to say of nothing. */
export function printRows(rows: readonly Row[], options: { readonly json: boolean; readonly columns: readonly string[]; readonly none: string }): void {
  if (options.json) print(JSON.stringify(rows, null, 2));
  else print(rows.length === 0 ? options.none : table(options.columns, rows));
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** An id as PostgreSQL's bigint has it, as text: JavaScript's numbers are too small for it. */
export function toId(text: string): string {
  if (!/^[1-9]\d{0,17}$/u.test(text)) throw new InvalidArgumentError('accepted: a positive whole number');
  return text;
}

export function toUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/u.test(new URL(text).protocol)) throw new InvalidArgumentError('accepted: an http or https URL');
  return text;
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (value instanceof Date) return value.toISOString().replace(/\.\d+Z$/u, 'Z');
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replaceAll(/\p{C}+/gu, ' ');
}
