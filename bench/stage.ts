import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { startPostgres, type PostgresServer } from '../src/demo/postgres.js';
import { ROOT } from './child.js';

export const TOKEN = 'bench';
const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const PUBLICATION = 'slackchat_bridge';

/** Ten channels, a hundred users; messages are made by a function, so that a commit costs its client nothing. */
const CHAT = `
  INSERT INTO slackchat_chattype (name, publish_path, render_to_html, kwargs_in_threads) VALUES ('default', '/', false, false);
  INSERT INTO slackchat_user (api_id, image, title) SELECT 'USER' || i, '', '' FROM generate_series(1, 100) i;
  INSERT INTO slackchat_channel (id, publish_path, live, chat_type_id, owner_id, published)
    SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, i::text, true, 1, 1, false FROM generate_series(0, 9) i;
  CREATE SEQUENCE bench_tick;
  CREATE FUNCTION bench_message(content text, channels int DEFAULT 10) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE tick bigint := nextval('bench_tick');
  BEGIN
    INSERT INTO slackchat_message (timestamp, text, channel_id, user_id)
    VALUES (timestamptz '2018-10-16 17:23:49+00' + tick * interval '7 us', content, ('00000000-0000-4000-8000-' || lpad((tick % channels)::text, 12, '0'))::uuid, 1 + tick % 100);
  END $$;`;

export const TEXT = 'A message as people write them, some words long.';

export interface Endpoint {
  readonly url: string;
  readonly maxInFlight?: number;
  readonly updateTypes?: readonly string[];
}

/** A database with the chat's tables and the bridge set up, on a server of the benchmark's own. */
export class BenchDatabase {
  readonly name: string;
  readonly url: string;
  readonly client: pg.Client;
  readonly publication = PUBLICATION;
  #slots = 0;

  constructor(name: string, url: string) {
    this.name = name;
    this.url = url;
    this.client = new pg.Client({ connectionString: url });
  }

  async open(): Promise<void> {
    await this.client.connect();
    await this.client.query(await readFile(join(ROOT, 'sql/slackchat.sql'), 'utf8'));
    await this.client.query(CHAT);
    await promisify(execFile)(process.execPath, [join(ROOT, 'dist/main.js'), 'setup'], { env: { ...process.env, ...this.environment(this.#base) } });
  }

  /** What the bridge is started with. */
  environment(slot: string): Record<string, string> {
    return { DATABASE_URL: this.url, SLOT_NAME: slot, WEBHOOK_VERIFICATION_TOKEN: TOKEN, ADMIN_PORT: '', LOG_LEVEL: 'error' };
  }

  /** Signed, and verified already. */
  async register(endpoints: readonly Endpoint[]): Promise<void> {
    await this.client.query('DELETE FROM slackchat_bridge.webhooks');
    await this.client.query(
      `INSERT INTO slackchat_bridge.webhooks (endpoint, secret, max_in_flight, update_types)
       SELECT e.url, $2, coalesce(e."maxInFlight", 64), e."updateTypes" FROM json_to_recordset($1) AS e(url text, "maxInFlight" int, "updateTypes" text[])`,
      [JSON.stringify(endpoints), SECRET],
    );
    await this.client.query("BEGIN; SET LOCAL slackchat_bridge.own_write = 'on'; UPDATE slackchat_bridge.webhooks SET verified = true, verified_at = now(); COMMIT");
  }

  /** Sets the bridge up anew for so many instances. @returns their slots, which tell what is committed from now on */
  async share(slot: string, count: number): Promise<readonly string[]> {
    const run = async (args: readonly string[], env: Readonly<Record<string, string>>): Promise<unknown> => promisify(execFile)(process.execPath, [join(ROOT, 'dist/main.js'), ...args], { env: { ...process.env, ...env } });
    await run(['teardown', '--yes'], this.environment(this.#base));
    await run(['setup'], { ...this.environment(slot), ...(count === 1 ? {} : { SHARD: `1/${count}` }) });
    return count === 1 ? [slot] : Array.from({ length: count }, (_item, index) => `${slot}_${index + 1}_of_${count}`);
  }

  /** What is committed from now on is what slots tell. */
  async mark(): Promise<void> {
    await this.dropSlot(this.#base);
    await this.client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [this.#base]);
  }

  /** A slot that tells everything since the mark. */
  async slot(): Promise<string> {
    this.#slots += 1;
    const name = `${this.name}_${this.#slots}`;
    await this.client.query('SELECT pg_copy_logical_replication_slot($1, $2)', [this.#base, name]);
    // The bridge streams only from a slot that setup made.
    await this.client.query("UPDATE slackchat_bridge.meta SET value = $1 WHERE key = 'slot'", [name]);
    return name;
  }

  async dropSlot(name: string): Promise<void> {
    for (;;) {
      const { rows } = await this.client.query<{ active_pid: number | null }>('SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1', [name]);
      if (rows[0] === undefined) return;
      if (rows[0].active_pid === null) await this.client.query('SELECT pg_drop_replication_slot($1)', [name]);
      else await this.client.query('SELECT pg_terminate_backend($1)', [rows[0].active_pid]);
      await delay(20);
    }
  }

  async messages(count: number, perTransaction: number): Promise<void> {
    await this.client.query(`DO $$ BEGIN
      FOR i IN 1..${count} LOOP
        PERFORM bench_message('${TEXT}');
        IF i % ${perTransaction} = 0 THEN COMMIT; END IF;
      END LOOP;
    END $$`);
  }

  /** One transaction each, of the messages with these ids. */
  async reactions(from: number, to: number): Promise<void> {
    await this.client.query(`DO $$ BEGIN
      FOR i IN ${from}..${to} LOOP
        INSERT INTO slackchat_reaction (timestamp, reaction, message_id, user_id) VALUES (timestamptz '2018-10-16 17:23:49+00' + i * interval '7 us', 'thumbsup', i, 1 + i % 100);
        COMMIT;
      END LOOP;
    END $$`);
  }

  async close(): Promise<void> {
    const { rows } = await this.client.query<{ slot_name: string }>('SELECT slot_name FROM pg_replication_slots WHERE database = $1', [this.name]);
    for (const { slot_name: slot } of rows) await this.dropSlot(slot);
    await this.client.end();
  }

  get #base(): string {
    return `${this.name}_base`;
  }
}

export class Stage {
  readonly server: PostgresServer;
  readonly #admin: pg.Client;
  #databases = 0;

  private constructor(server: PostgresServer) {
    this.server = server;
    this.#admin = new pg.Client({ connectionString: server.url() });
  }

  static async open(): Promise<Stage> {
    // Checkpoints and autovacuum come when they like; they would fall into one contender's round and not the other's.
    const settings = { autovacuum: 'off', checkpoint_timeout: '1h', max_wal_size: '64GB', shared_buffers: '256MB', synchronous_commit: 'on' };
    const stage = new Stage(await startPostgres({ settings }));
    await stage.#admin.connect();
    return stage;
  }

  /** Gives `use` a fresh database and removes it. */
  async withDatabase<T>(use: (database: BenchDatabase) => Promise<T>): Promise<T> {
    this.#databases += 1;
    const name = `bench${this.#databases}`;
    await this.#admin.query(`CREATE DATABASE ${name}`);
    const database = new BenchDatabase(name, this.server.url(name));
    await database.open();
    try {
      await this.#admin.query('CHECKPOINT');
      return await use(database);
    } finally {
      await database.close();
      await this.#admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
  }

  async close(): Promise<void> {
    await this.#admin.end();
    await this.server.dispose();
  }
}
