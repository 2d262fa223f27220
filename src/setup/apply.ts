import pg from 'pg';
import { errorCode, errorMessage, PreconditionError } from '../errors.js';
import { delay } from '../time.js';
import type { Step } from './statements.js';

/** Setup waits no longer than this for a lock, because everything else would queue behind it. */
const LOCK_TIMEOUT_MS = 3_000;
const LOCK_TRIES = 5;
/** Two setups at once take turns by this advisory lock: 'slack' in hexadecimal ASCII. */
const ADVISORY_LOCK = '0x736c61636b';

export interface SetupSession {
  readonly client: pg.Client;
  close(): Promise<void>;
}

/** A session of its own, holding the lock that keeps other setups out until it is closed. */
export async function openSetupSession(connection: pg.ClientConfig): Promise<SetupSession> {
  const options = `-c lock_timeout=${LOCK_TIMEOUT_MS} -c statement_timeout=120000 -c search_path=pg_catalog -c client_min_messages=warning`;
  const client = new pg.Client({ ...connection, options: [connection.options, options].filter((part) => part !== undefined).join(' ') });
  // The query in progress reports what broke; later faults of a session that is done matter to nobody.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await tryAgainOnLock('another setup', client, () => client.query('SELECT pg_advisory_lock($1::bigint)', [BigInt(ADVISORY_LOCK).toString()]));
  } catch (error) {
    await client.end();
    throw error;
  }
  return { client, close: () => client.end() };
}

/** @throws {PreconditionError} saying which step failed, why, and what its statement needs */
export async function applyStep(client: pg.Client, step: Step): Promise<void> {
  const run = async (): Promise<void> => {
    const [first] = step.sql;
    if (step.sql.length === 1 && first !== undefined) {
      await client.query(first);
      return;
    }
    await client.query('BEGIN');
    try {
      for (const sql of step.sql) await client.query(sql);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  };
  try {
    await tryAgainOnLock(step.title, client, run);
  } catch (error) {
    if (error instanceof PreconditionError) throw error;
    const privilege = errorCode(error) === '42501' ? ` (this step needs: ${step.needs})` : '';
    throw new PreconditionError(`setup could not make ${step.title}: ${errorMessage(error)}${privilege}`);
  }
}

/** The step as text for psql; --print. */
export function printStep(step: Step): string {
  const [first] = step.sql;
  const body = step.sql.length === 1 && first !== undefined ? terminated(first) : `BEGIN;\n${step.sql.map(terminated).join('\n')}\nCOMMIT;`;
  return `-- ${step.title}\n-- needs: ${step.needs}\n${body}\n`;
}

function terminated(sql: string): string {
  return sql.endsWith(';') ? sql : `${sql};`;
}

/** 55P03: lock_not_available. Also what a slot's creation ends with while an old transaction is open. */
async function tryAgainOnLock(what: string, client: pg.Client, work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (errorCode(error) !== '55P03') throw error;
      if (tries === LOCK_TRIES) {
        throw new PreconditionError(`setup waited ${(LOCK_TRIES * LOCK_TIMEOUT_MS) / 1000} s for a lock for ${what}; ${await blocker(client)}; end it, or run setup again later`);
      }
      await delay(250 * tries);
    }
  }
}

async function blocker(client: pg.Client): Promise<string> {
  const oldest = await client.query<{ pid: number; state: string; age: string; application: string }>(
    `SELECT pid, state, date_trunc('second', now() - xact_start)::text AS age, application_name AS application
       FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1`,
  );
  const row = oldest.rows[0];
  return row === undefined ? 'who holds it is not known' : `the oldest open transaction is backend ${row.pid} (${row.state}, open for ${row.age}, ${row.application || 'no name'})`;
}
