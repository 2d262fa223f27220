import pg from 'pg';
import { isLoopback } from '../config.js';
import { errorCode, errorMessage } from '../errors.js';
import { failure, ok, warning, type Check } from './check.js';
import { replicationGrant, setting, type Platform } from './platform.js';
import type { Connection } from './server-checks.js';

const TIMEOUT_MS = 10_000;

/** A session that waits for nothing for long. */
export function openSession(connection: pg.ClientConfig): pg.Client {
  const options = `-c lock_timeout=3000 -c statement_timeout=${TIMEOUT_MS} -c search_path=pg_catalog -c client_min_messages=warning -c default_transaction_read_only=on`;
  const client = new pg.Client({ ...connection, query_timeout: 2 * TIMEOUT_MS, options: [connection.options, options].filter((part) => part !== undefined).join(' ') });
  // What broke shows in the query that is under way.
  client.on('error', () => undefined);
  return client;
}

export function connectionOf(client: pg.Client, config: pg.ClientConfig): Connection {
  const { host, port } = client;
  const checked = typeof config.ssl === 'object' && config.ssl.rejectUnauthorized === true;
  return { host, port, local: host.startsWith('/') || isLoopback(host), certificateChecked: checked };
}

/** Why there is no connection, and what to do. */
export function unreachable(error: unknown, where: string): Check {
  return failure('connection', `${where}: ${errorMessage(error)}`, REMEDIES[errorCode(error) ?? ''] ?? OTHER_REMEDY);
}

const OTHER_REMEDY = 'look at DATABASE_URL (host, port, sslmode), at the network between, and at the server\'s log';
const REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: start the server, or mend host and port in DATABASE_URL; in PostgreSQL, listen_addresses decides where it listens',
  ENOTFOUND: 'mend the host in DATABASE_URL: its name is not known',
  EAI_AGAIN: 'the name server does not answer: look at this machine\'s network, and at the host in DATABASE_URL',
  ETIMEDOUT: 'no answer: look at host and port in DATABASE_URL and at the firewalls between',
  '28P01': 'mend the user or password in DATABASE_URL; a new password: ALTER ROLE … PASSWORD \'…\';',
  '28000': 'let the role in: a line for it in pg_hba.conf, LOGIN for the role, or TLS where the server asks for it (?sslmode=require)',
  '3D000': 'mend the database name in DATABASE_URL',
  '42501': 'GRANT CONNECT ON DATABASE … TO the role in DATABASE_URL;',
  '53300': 'the server has no connection left: raise max_connections, or end some',
  '57P03': 'the server starts or stops: try again',
};

/** Tries what the stream begins with: a walsender for this database. A lookup of privileges would not see a pooler or pg_hba.conf. */
export async function tryReplication(connection: pg.ClientConfig, role: string, platform: Platform, streaming: boolean): Promise<Check> {
  const name = 'replication';
  const asWalsender: pg.ClientConfig & { readonly replication: string } = { ...connection, replication: 'database' };
  const client = new pg.Client(asWalsender);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('IDENTIFY_SYSTEM');
    return ok(name, `${role} may open a replication connection to this database`);
  } catch (error) {
    const detail = errorMessage(error);
    switch (errorCode(error)) {
      case '42501':
        return failure(name, detail, replicationGrant(platform, role));
      case '28000':
        return /replication role|walsender/iu.test(detail)
          ? failure(name, detail, replicationGrant(platform, role))
          : failure(name, detail, 'let the role in: for logical replication pg_hba.conf needs a line with the database\'s name, as for any connection');
      case '53300':
        return streaming ? warning(name, `${detail}; the bridge has one`, null) : failure(name, detail, setting(platform, 'max_wal_senders', '20', true));
      default:
        return failure(name, detail, 'connect to the server directly: a pooler such as PgBouncer cannot carry replication (Supabase: the direct connection; Neon: the host without -pooler)');
    }
  } finally {
    // Not waited for: of a connection that the server breaks off meanwhile the driver's promise can stay open for ever.
    client.end().catch(() => undefined);
  }
}
