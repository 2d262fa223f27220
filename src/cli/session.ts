import pg from 'pg';
import { databaseConfig } from '../config.js';
import { connectionConfig } from '../database.js';
import { errorCode, errorMessage, PreconditionError } from '../errors.js';
import { environmentWith } from './environment.js';
import { withProgress } from './progress.js';

/** No such schema, table, column or function. */
const NOT_SET_UP = new Set(['3F000', '42P01', '42703', '42883']);

/** A session for one command. */
export function withDatabase<T>(envFile: string | undefined, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withProgress('waiting for the database', inSession(envFile, work));
}

/** The same, for a command that says itself what it is at. */
export async function inSession<T>(envFile: string | undefined, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const config = databaseConfig(environmentWith(envFile));
  const connection = await connectionConfig(config.environment, 'slackchat-bridge command');
  const options = '-c search_path=pg_catalog -c statement_timeout=60000 -c lock_timeout=10000';
  const client = new pg.Client({ ...connection, options: [connection.options, options].filter((part) => part !== undefined).join(' ') });
  // The query in progress reports what broke.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } catch (error) {
    if (!NOT_SET_UP.has(errorCode(error) ?? '')) throw error;
    throw new PreconditionError(`this database is not set up for this version (${errorMessage(error)}): run slackchat-bridge setup`);
  } finally {
    await client.end();
  }
}

/** Runs a statement whose one value is text, a bigint (text too, with this driver) or void. */
export async function call(envFile: string | undefined, sql: string, parameters: readonly unknown[]): Promise<string> {
  return withDatabase(envFile, async (client) => {
    const { rows } = await client.query<{ value: string | null }>(sql, [...parameters]);
    return rows[0]?.value ?? '';
  });
}
