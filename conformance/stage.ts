import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import type { PostgresServer } from '../src/demo/postgres.js';
import { BridgeProcess } from './bridge-process.js';
import { Journal } from './journal.js';
import { Receiver } from './receiver.js';
import { redirected } from './endpoints.js';
import { Sessions } from './replay.js';

const SETTLED_MS = 30_000;
const POLL_MS = 10;

export interface StageOptions {
  readonly server: PostgresServer;
  /** the database with the application's tables that others are copied from */
  readonly template: string;
  readonly initialSql: readonly string[];
  /** the recording's receiver, in whose place the rows of the application name this one, and the bridge mirrors them; null: the runner registers */
  readonly mirrored: string | null;
  readonly settings: Readonly<Record<string, string>>;
}

/** What one scenario plays on: a database of its own, a receiver, the bridge, the application's sessions. */
export class Stage {
  readonly receiver: Receiver;
  readonly sessions: Sessions;
  readonly journal: Journal;
  /** of the runner itself */
  readonly client: Client;
  readonly bridge: BridgeProcess;
  readonly #admin: Client;
  /** for what comes in at the receiver at any time */
  readonly #asked: Pool;
  readonly #name: string;
  readonly #mirrored: string | null;

  private constructor(parts: { receiver: Receiver; sessions: Sessions; journal: Journal; client: Client; bridge: BridgeProcess; admin: Client; asked: Pool; name: string; mirrored: string | null }) {
    ({ receiver: this.receiver, sessions: this.sessions, journal: this.journal, client: this.client, bridge: this.bridge, admin: this.#admin, asked: this.#asked, name: this.#name, mirrored: this.#mirrored } = parts);
  }

  static async open({ server, template, initialSql, mirrored, settings }: StageOptions): Promise<Stage> {
    const name = `conformance_${randomBytes(5).toString('hex')}`;
    const admin = await connect(server.url());
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
    const client = await connect(server.url(name));
    const asked = new Pool({ connectionString: server.url(name), max: 2 });
    asked.on('error', () => undefined);
    const receiver = await Receiver.listen(mirrored === null ? null : (path) => believes(asked, receiver.origin + path));
    for (const sql of initialSql) await client.query(redirected(sql, mirrored ?? '', receiver.origin));
    const bridge = new BridgeProcess({ DATABASE_URL: server.url(name), SLOT_NAME: name, ADMIN_PORT: '0', RETRY_BASE_MS: '20', ...(mirrored === null ? {} : { APP_WEBHOOKS: 'mirror' }), ...settings });
    const journal = new Journal(client, `${name}_journal`);
    const stage = new Stage({ receiver, sessions: new Sessions(server.url(name), (sql) => redirected(sql, mirrored ?? '', receiver.origin)), journal, client, bridge, admin, asked, name, mirrored });
    try {
      await bridge.ready();
      if (mirrored !== null) await stage.settled();
      receiver.take();
      await journal.begin();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  /**
   * Until the bridge has confirmed everything that is committed by now and nothing waits for a retry: then
   * everything has been delivered.
   */
  async settled(): Promise<void> {
    // A commit of ours, which the server writes out at once; after a rollback it would take its time.
    await this.client.query("SELECT pg_logical_emit_message(true, 'conformance', 'here')");
    const { rows } = await this.client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    for (const deadline = Date.now() + SETTLED_MS; Date.now() < deadline && !this.bridge.ended; await delay(POLL_MS)) {
      const { rows: found } = await this.client.query<{ done: boolean }>(
        `SELECT confirmed_flush_lsn >= $2::pg_lsn AND NOT EXISTS (SELECT FROM slackchat_bridge.deliveries d JOIN slackchat_bridge.webhooks w ON w.id = d.webhook_id WHERE d.status = 'waiting' AND w.verified) AS done
           FROM pg_replication_slots WHERE slot_name = $1`,
        [this.#name, rows[0]?.lsn],
      );
      if (found[0]?.done === true && (await this.#decided())) return;
    }
    throw new Error(`the bridge did not confirm a step within ${SETTLED_MS / 1000} s. Its output ends with:\n${this.bridge.tail}`);
  }

  /** No challenge is under way, and what came of them stands in the application's table. */
  async #decided(): Promise<boolean> {
    if (this.#mirrored === null) return true;
    if (await this.bridge.verifying()) return false;
    const { rows } = await this.client.query('SELECT FROM slackchat_webhook a JOIN slackchat_bridge.webhooks w USING (endpoint) WHERE a.verified <> w.verified');
    return rows.length === 0;
  }

  /** Exactly these paths of the receiver are endpoints, and verified. */
  async register(paths: ReadonlySet<string>): Promise<void> {
    if (this.#mirrored !== null) return;
    const endpoints = [...paths].map((path) => `${this.receiver.origin}${path}`);
    const { rowCount: gone } = await this.client.query('DELETE FROM slackchat_bridge.webhooks WHERE endpoint <> ALL ($1)', [endpoints]);
    const { rowCount: added } = await this.client.query('INSERT INTO slackchat_bridge.webhooks (endpoint) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING', [endpoints]);
    if (gone === 0 && added === 0) return;
    for (const deadline = Date.now() + SETTLED_MS; Date.now() < deadline; await delay(POLL_MS)) {
      const { rows } = await this.client.query('SELECT FROM slackchat_bridge.webhooks WHERE NOT verified');
      if (rows.length === 0) return this.settled();
    }
    throw new Error(`the bridge did not verify its endpoints within ${SETTLED_MS / 1000} s. Its output ends with:\n${this.bridge.tail}`);
  }

  async close(): Promise<void> {
    await this.bridge.stop();
    await this.receiver.close();
    await this.sessions.close();
    await this.#asked.end();
    await this.client.end();
    await this.#admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1', [this.#name]);
    await this.#admin.query(`DROP DATABASE ${this.#name} WITH (FORCE)`);
    await this.#admin.end();
  }
}

async function believes(client: Pool, endpoint: string): Promise<boolean> {
  const { rows } = await client.query<{ verified: boolean }>('SELECT verified FROM slackchat_webhook WHERE endpoint = $1', [endpoint]);
  return rows[0]?.verified === true;
}

export async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
