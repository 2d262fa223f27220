import pg from 'pg';

/** text[], for which the driver has a parser but no name. */
const TEXT_ARRAY = 1009;
const raw = (text: string): string => text;
// oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- see TEXT_ARRAY
const textArray: unknown = pg.types.getTypeParser(TEXT_ARRAY as number);

/** Column text raw: no Date, no rounded number. Arrays of text are the one type that is taken apart. */
const rawTypes: pg.CustomTypesConfig = { getTypeParser: (oid: number) => (oid === TEXT_ARRAY ? textArray : raw) };

/**
 * What every session of the bridge asks of the server: times in the configured zone (PostgreSQL does
 * the conversion, in the WAL's text too), and nothing that can hang for ever on the application's
 * database.
 */
export function sessionOptions(timeZone: string, statementTimeoutMs: number): string {
  const settings = {
    TimeZone: timeZone,
    DateStyle: 'ISO',
    IntervalStyle: 'postgres',
    extra_float_digits: '1',
    bytea_output: 'hex',
    statement_timeout: String(statementTimeoutMs),
    lock_timeout: String(Math.min(statementTimeoutMs, 5_000)),
    idle_in_transaction_session_timeout: '60000',
    search_path: 'pg_catalog',
    // All that the bridge asks is found by an index. A plan made while a table was small would read all of it, each time, long after it has grown.
    enable_seqscan: 'off',
    // Where there is no other way after all, that counts as so expensive that the server would compile it.
    jit: 'off',
  };
  return Object.entries(settings)
    .map(([key, value]) => `-c ${key}=${value}`)
    .join(' ');
}

/** @param connection asked for each new session: the server can be another one by then */
export function createPool(connection: () => pg.ClientConfig, options: string, size: number, onError: (error: Error) => void): pg.Pool {
  class Session extends pg.Client {
    constructor(settings: pg.ClientConfig = {}) {
      const found = connection();
      super({ ...settings, ...found, options: [found.options, options].filter((part) => part !== undefined).join(' ') });
    }
  }
  const pool = new pg.Pool({
    Client: Session,
    max: size,
    types: rawTypes,
    idleTimeoutMillis: 30_000,
    // A server that vanished without a word must not hold a query for ever.
    query_timeout: 60_000,
    keepAlive: true,
  });
  // A session that breaks while idle is replaced at the next query.
  pool.on('error', onError);
  // The pool hears only idle ones. One that breaks in use, between two queries, would end the process unheard; its next query says what happened.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Runs `work` in one transaction on one session. */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let fault: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    fault = error instanceof Error ? error : new Error(String(error));
    // A session that cannot even roll back is thrown away below.
    fault = await client.query('ROLLBACK').then(
      () => undefined,
      () => fault,
    );
    throw error;
  } finally {
    client.release(fault);
  }
}
