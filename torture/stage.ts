import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import { startPostgres, type PostgresServer } from '../src/demo/postgres.js';
import { parseLsn } from '../src/lsn.js';
import { insertChannel, seedChat } from '../test/support/chat.js';
import { Bridges } from './bridges.js';
import { Chronicler } from './chronicler.js';
import { Journal } from './journal.js';
import type { LostSlot, Outage } from './judge.js';
import { Network } from './network.js';
import type { Random } from './random.js';
import { Receiver } from './receiver.js';
import { ChatWorld } from './world.js';

const SLOT = 'slackchat_bridge';
const POLL_MS = 300;
/** So small that large transactions come in parts. */
const SMALL_BUFFER_MB = 8;

/** What each endpoint is registered with; `through`: its network can fail. */
const ENDPOINTS = {
  healthy: { through: false, columns: {} },
  steady: { through: true, columns: {} },
  ordered: { through: true, columns: { ordering: 'channel', max_in_flight: 8 } },
  mover: { through: true, columns: {} },
  picky: { through: true, columns: { chat_types: ['default'], max_in_flight: 2, secret: 'whsec_dG9ydHVyZSB0b3J0dXJlIHRvcnR1cmU=' } },
  lazy: { through: true, columns: { conflate: true, max_in_flight: 4 } },
  late: { through: true, columns: { update_types: ['message_created', 'message_deleted'] } },
} as const;
export type EndpointName = keyof typeof ENDPOINTS;

export interface Endpoint {
  readonly name: EndpointName;
  readonly receiver: Receiver;
  /** null: nothing between */
  readonly network: Network | null;
  readonly columns: Readonly<Record<string, unknown>>;
  readonly outages: Outage[];
  webhookId: string;
  /** how often its address has changed */
  moves: number;
}

/** Server, networks, receivers and bridge processes of one run. */
export class Stage {
  readonly server: PostgresServer;
  readonly pool: Pool;
  readonly journal = new Journal('torture_journal');
  readonly chronicler: Chronicler;
  readonly network: Network;
  readonly endpoints: readonly Endpoint[];
  readonly bridges: Bridges;
  readonly logFile: string;
  readonly lostSlots: LostSlot[] = [];
  world: ChatWorld = new ChatWorld({ userIds: [], chatTypeIds: [], channelIds: [], webhookIds: [], functions: new Set() });
  confirmed = 0n;
  readonly #folder: string;
  readonly #closing = new AbortController();
  #reading: Promise<void> = Promise.resolve();
  #watching: Promise<void> = Promise.resolve();

  private constructor(parts: { server: PostgresServer; network: Network; endpoints: readonly Endpoint[]; folder: string; random: Random }) {
    ({ server: this.server, network: this.network, endpoints: this.endpoints } = parts);
    this.#folder = parts.folder;
    this.logFile = join(parts.folder, 'bridge.log');
    this.pool = new Pool({ connectionString: this.server.url(), ssl: false, max: 12, connectionTimeoutMillis: 3_000, options: '-c TimeZone=UTC -c lock_timeout=3s -c statement_timeout=30s' });
    // The server is stopped on purpose now and then.
    this.pool.on('error', () => undefined);
    // The pool hears only idle ones: one that breaks while a fault holds it would end the run.
    this.pool.on('connect', (client) => client.on('error', () => undefined));
    const buffer = parts.random.chance(0.5) ? SMALL_BUFFER_MB : 64;
    this.chronicler = new Chronicler((buffer * 1024 * 1024) / 8);
    this.bridges = new Bridges(this.#settings(buffer), this.logFile);
  }

  static async open(random: Random, signal: AbortSignal): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), 'slackchat-bridge-torture-'));
    const server = await startPostgres({ signal, settings: { wal_sender_timeout: '5s', deadlock_timeout: '200ms', max_slot_wal_keep_size: '-1' } });
    const network = await Network.to(server.port);
    const endpoints: Endpoint[] = [];
    for (const name of ['healthy', 'steady', 'ordered', 'mover', 'picky', 'lazy', 'late'] as const) {
      const { through, columns } = ENDPOINTS[name];
      const receiver = await Receiver.listen(name, random.fork(`receiver ${name}`));
      endpoints.push({ name, receiver, columns, network: through ? await Network.to(receiver.port) : null, outages: [], webhookId: '', moves: 0 });
    }
    const stage = new Stage({ server, network, endpoints, folder, random });
    try {
      await stage.#prepare(random.fork('stage'));
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  endpoint(name: EndpointName): Endpoint {
    const found = this.endpoints.find((endpoint) => endpoint.name === name);
    if (found === undefined) throw new Error(`there is no endpoint ${name}`);
    return found;
  }

  /** An address that it has not had before. */
  address(endpoint: Endpoint): string {
    return `http://127.0.0.1:${(endpoint.network ?? endpoint.receiver).port}/${endpoint.name}/${endpoint.moves}`;
  }

  /** To be called before anything is done that can make the endpoint miss a change. */
  declare(endpoint: Endpoint): void {
    endpoint.outages.push({ time: Date.now(), confirmed: this.confirmed });
  }

  async register(endpoint: Endpoint): Promise<void> {
    const columns = { endpoint: this.address(endpoint), ...endpoint.columns };
    const names = Object.keys(columns);
    const { rows } = await this.pool.query<{ id: string }>(
      `INSERT INTO slackchat_bridge.webhooks (${names.join(', ')}) VALUES (${names.map((_name, index) => `$${index + 1}`).join(', ')}) RETURNING id::text`,
      Object.values(columns),
    );
    endpoint.webhookId = rows[0]?.id ?? '';
  }

  /** Everything that the journal has by now. */
  catchUp(): Promise<void> {
    this.#reading = this.#reading.catch(() => undefined).then(() => this.#catchUp());
    return this.#reading;
  }

  async #catchUp(): Promise<void> {
    const client = new Client({ connectionString: this.server.url(), ssl: false, options: '-c TimeZone=UTC' });
    client.on('error', () => undefined);
    await client.connect();
    try {
      for (let commits = await this.journal.take(client); commits !== null; commits = await this.journal.take(client)) this.chronicler.add(commits);
    } finally {
      await client.end();
    }
  }

  async sampleConfirmed(): Promise<void> {
    const { rows } = await this.pool.query<{ lsn: string | null }>('SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1', [SLOT]);
    const lsn = rows[0]?.lsn;
    if (lsn !== undefined && lsn !== null) this.confirmed = parseLsn(lsn);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.bridges.close();
    await this.#watching;
    for (const { network, receiver } of this.endpoints) {
      network?.close();
      receiver.close();
    }
    this.network.close();
    await this.pool.end();
    await this.server.dispose();
  }

  async removeLogs(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #prepare(random: Random): Promise<void> {
    await this.pool.query(await readFile(join(import.meta.dirname, '../sql/slackchat.sql'), 'utf8'));
    await this.pool.query('ALTER TABLE slackchat_attachment ADD FOREIGN KEY (message_id) REFERENCES slackchat_message ON DELETE CASCADE');
    await this.pool.query('CREATE SCHEMA torture; CREATE TABLE torture.ledger (id bigint PRIMARY KEY, deed text NOT NULL)');
    const client = new Client({ connectionString: this.server.url(), ssl: false });
    client.on('error', () => undefined);
    await client.connect();
    await this.journal.begin(client);
    await client.end();
    const bridge = this.bridges.start();
    if (!(await bridge.says('"streaming"', 60_000))) throw new Error(`the bridge did not start:\n${bridge.lines.slice(-10).join('\n')}`);
    const chat = await seedChat(this.pool);
    const { rows: kinds } = await this.pool.query<{ id: number }>("INSERT INTO slackchat_chattype (name, publish_path, render_to_html, kwargs_in_threads) VALUES ('second', '/s/', false, false) RETURNING id");
    const chatTypeIds = [chat.chatTypeId, kinds[0]?.id ?? 0];
    const channelIds = [chat.channelId];
    for (let left = random.integer(2, 5); left > 0; left -= 1) channelIds.push(await insertChannel(this.pool, { chatTypeId: random.pick(chatTypeIds), ownerId: chat.userIds[0] }));
    for (const endpoint of this.endpoints) if (endpoint.name !== 'late') await this.register(endpoint);
    const { rows } = await this.pool.query<{ name: string }>("SELECT DISTINCT proname AS name FROM pg_proc WHERE pronamespace = 'slackchat_bridge'::regnamespace");
    const webhookIds = this.endpoints.filter(({ name }) => name !== 'late').map(({ webhookId }) => webhookId);
    this.world = new ChatWorld({ userIds: chat.userIds, chatTypeIds, channelIds, webhookIds, functions: new Set(rows.map(({ name }) => name)) });
    await this.sampleConfirmed();
    this.#watching = this.#watch();
  }

  /** Reads the journal as it grows, so that the server need not keep it, and notes what the slot has confirmed. */
  async #watch(): Promise<void> {
    for (let round = 1; !this.#closing.signal.aborted; round += 1) {
      await sleep(POLL_MS);
      // The server is down now and then.
      await this.sampleConfirmed().catch(() => undefined);
      if (round % 10 === 0) await this.catchUp().catch(() => undefined);
    }
  }

  #settings(bufferMb: number): Record<string, string> {
    const url = new URL(this.server.url());
    url.port = String(this.network.port);
    return {
      DATABASE_URL: url.href, SLOT_NAME: SLOT, WEBHOOK_VERIFICATION_TOKEN: 'torture', ADMIN_PORT: '', MAX_BUFFER_MB: String(bufferMb),
      RETRY_BASE_MS: '50', RETRY_MAX_MS: '1500', REQUEST_TIMEOUT_MS: '1000', SHUTDOWN_TIMEOUT_MS: '3000', SETTLE_MS: '150',
    };
  }
}
