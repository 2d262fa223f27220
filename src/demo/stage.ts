import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client, Pool } from 'pg';
import { BridgeProcess, runSetup, type Settings } from './bridge-process.js';
import { seed, type Cast } from './chat.js';
import { startPostgres } from './postgres.js';
import { Receiver } from './receiver.js';
import type { Screen } from './screen.js';

const TABLES = new URL('../../sql/slackchat.sql', import.meta.url);
const DATABASE = 'chat';

/** All that the demo needs running, and how to end it, however far the start came. */
export class Stage {
  readonly #screen: Screen;
  readonly #halt: AbortController;
  /** done in reverse */
  readonly #undo: (() => Promise<unknown>)[] = [];
  #settings: Settings = {};
  #bridge: BridgeProcess | null = null;
  #receiver: Receiver | null = null;

  constructor(screen: Screen, halt: AbortController) {
    this.#screen = screen;
    this.#halt = halt;
  }

  async start(): Promise<{ readonly url: string; readonly pool: Pool; readonly cast: Cast; readonly receiver: Receiver }> {
    const screen = this.#screen;
    const { signal } = this.#halt;
    screen.waiting('PostgreSQL starts');
    const server = await startPostgres({ signal });
    this.#undo.push(() => server.dispose());
    screen.good(`PostgreSQL ${server.version} on port ${server.port}, in a temporary folder`);
    const url = server.url(DATABASE);
    const pool = await this.#chatDatabase(server.url(), url);
    const cast = await seed(pool);
    screen.good('the chat application\'s tables with two users and three channels');

    const [token, secret] = [randomBytes(12).toString('hex'), `whsec_${randomBytes(24).toString('base64')}`];
    this.#settings = {
      DATABASE_URL: url, WEBHOOK_VERIFICATION_TOKEN: token, ADMIN_PORT: '0',
      // Shorter than by default, so that a receiver that fails is soon tried again.
      RETRY_BASE_MS: '150', RETRY_MAX_MS: '600',
      // Longer, so that the application's second transaction is in time on a busy machine too: it ends the wait at once.
      SETTLE_MS: '1000',
    };
    screen.waiting('slackchat-bridge setup');
    screen.good(`slackchat-bridge setup, ${(await runSetup(this.#settings, signal)).length} steps (setup --print shows them as SQL)`);
    const receiver = await Receiver.listen(token, secret);
    this.#receiver = receiver;
    this.#undo.push(() => receiver.close());
    screen.waiting('slackchat-bridge run');
    this.#undo.push(() => this.kill());
    await this.startBridge();
    screen.good(`slackchat-bridge run, as process ${this.pid}`);
    await this.#register(pool, receiver, secret);
    return { url, pool, cast, receiver };
  }

  get pid(): number {
    return this.#bridge?.pid ?? 0;
  }

  /** The last lines of the bridge's output. */
  get bridgeTail(): string {
    return this.#bridge?.tail ?? '';
  }

  /** Resolves when the new process streams. */
  async startBridge(): Promise<void> {
    if (this.#receiver !== null) this.#receiver.run += 1;
    this.#bridge = new BridgeProcess(this.#settings, (reason) => this.#halt.abort(reason));
    await this.#bridge.log('streaming', this.#halt.signal);
  }

  async adminUrl(): Promise<string> {
    const line = await this.#bridge?.log('admin listening', this.#halt.signal);
    return `http://127.0.0.1:${String(line?.['port'])}`;
  }

  async kill(): Promise<void> {
    await this.#bridge?.kill();
  }

  /** The ordinary end of the bridge. @returns its exit status */
  async stopBridge(): Promise<number | null> {
    return (await this.#bridge?.stop()) ?? null;
  }

  /** Nothing is left running, and no file. */
  async strike(): Promise<void> {
    for (const step of this.#undo.splice(0).toReversed()) await step().catch(() => undefined);
  }

  async #chatDatabase(adminUrl: string, url: string): Promise<Pool> {
    const admin = new Client({ connectionString: adminUrl });
    // Ctrl-C ends the server under it; what was asked of it then fails, and that is enough.
    admin.on('error', () => undefined);
    await admin.connect();
    try {
      await admin.query(`CREATE DATABASE ${DATABASE}`);
    } finally {
      await admin.end();
    }
    const pool = new Pool({ connectionString: url, max: 2 });
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    this.#undo.push(() => pool.end());
    await pool.query(await readFile(TABLES, 'utf8'));
    return pool;
  }

  /** By SQL, as a user does. The bridge sees the row in its stream and challenges the receiver. */
  async #register(pool: Pool, receiver: Receiver, secret: string): Promise<void> {
    this.#screen.note(`INSERT INTO slackchat_bridge.webhooks (endpoint, secret) VALUES ('${receiver.url}', 'whsec_…')`);
    this.#screen.waiting('the bridge verifies the receiver');
    const since = performance.now();
    await pool.query('INSERT INTO slackchat_bridge.webhooks (endpoint, secret) VALUES ($1, $2)', [receiver.url, secret]);
    await this.#bridge?.log('endpoint verified', this.#halt.signal);
    this.#screen.waiting(null);
    this.#screen.good(`seen, challenged and verified within ${(performance.now() - since).toFixed(0)} ms`);
  }
}
