import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorMessage, InstallationError } from '../errors.js';
import { literal } from './statements.js';
import { qualifiedName, quoteIdent, type TableMapping } from '../mapping.js';

/** One SQL file of the package. */
export interface Script {
  readonly kind: 'migration' | 'functions';
  /** a migration's number; 0 for functions */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

const ROOT = fileURLToPath(new URL('../../sql/', import.meta.url));

/**
 * Migrations in order, then the functions.
 * @throws {InstallationError} when files of the package are missing
 */
export function readScripts(): readonly Script[] {
  const read = (folder: string, kind: Script['kind']): Script[] =>
    readdirSync(join(ROOT, folder))
      .filter((file) => file.endsWith('.sql'))
      .sort()
      .map((file) => ({
        kind,
        version: kind === 'migration' ? Number(file.slice(0, 4)) : 0,
        name: file.replace(/\.sql$/u, ''),
        sql: readFileSync(join(ROOT, folder, file), 'utf8').trim(),
      }));
  try {
    return [...read('migrations', 'migration'), ...read('functions', 'functions')];
  } catch (error) {
    throw new InstallationError(`the installation is not whole: ${errorMessage(error)}. The folder sql/ belongs beside dist/: install the package anew`);
  }
}

/**
 * The functions name the application's tables, which are named in the configuration: {{channel}}, {{channel.id}}. With a
 * question mark the name is a text, and NULL where there is no such table or column: {{reaction?}}, {{reaction.timestamp?}}.
 */
export function withNames(sql: string, tables: readonly TableMapping[]): string {
  return sql.replaceAll(/\{\{(\w+)(?:\.(\w+))?(\?)?\}\}/gu, (_all, entity: string, column: string | undefined, asText: string | undefined) => {
    const table = tables.find((mapped) => mapped.entity === entity);
    if (asText !== undefined) {
      const name = column === undefined ? table && qualifiedName(table) : table?.columns[column];
      return name === undefined ? 'NULL' : literal(name);
    }
    if (table === undefined) throw new RangeError(`no table is mapped for ${entity}`);
    return column === undefined ? qualifiedName(table) : quoteIdent(table.columns[column] ?? column);
  });
}

/** Changes whenever a function does, so that setup knows when to apply them again. */
export function functionsDigest(scripts: readonly Script[], tables: readonly TableMapping[]): string {
  const hash = createHash('sha256');
  for (const script of scripts) if (script.kind === 'functions') hash.update(withNames(script.sql, tables));
  return hash.digest('hex').slice(0, 16);
}
