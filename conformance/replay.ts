import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';

const BLOCKED_POLL_MS = 25;

interface Session {
  readonly client: Client;
  readonly pid: number;
  last: Promise<void>;
}

/** The application's database sessions: one connection for each name, its statements in order. */
export class Sessions {
  readonly #url: string;
  readonly #rewrite: (sql: string) => string;
  readonly #sessions = new Map<string, Session>();
  #errors: string[] = [];

  constructor(url: string, rewrite: (sql: string) => string) {
    this.#url = url;
    this.#rewrite = rewrite;
  }

  /**
   * Sends the statements in the recorded order. One that waits for another session's lock does not hold up the others.
   * What fails is remembered: whether it failed in the recording too shows in what was committed.
   */
  async run(statements: readonly (readonly [string, string])[]): Promise<void> {
    for (const [name, sql] of statements) {
      const session = await this.#session(name);
      await session.last;
      session.last = session.client.query(this.#rewrite(sql)).then(
        () => undefined,
        (error: unknown) => {
          this.#errors.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        },
      );
      await Promise.race([session.last, this.#blocked(session)]);
    }
    await Promise.all([...this.#sessions.values()].map(({ last }) => last));
  }

  /** Errors since it was asked last. */
  takeErrors(): readonly string[] {
    const errors = this.#errors;
    this.#errors = [];
    return errors;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(({ client }) => client.end()));
  }

  async #session(name: string): Promise<Session> {
    const found = this.#sessions.get(name);
    if (found !== undefined) return found;
    const client = new Client({ connectionString: this.#url });
    client.on('error', () => undefined);
    await client.connect();
    // As Django sets its connections up.
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid, set_config('TimeZone', 'UTC', false)");
    const session = { client, pid: rows[0]?.pid ?? 0, last: Promise.resolve() };
    this.#sessions.set(name, session);
    return session;
  }

  /** Resolves when the session waits for a lock; never otherwise. Only one of several sessions can block another. */
  async #blocked(session: Session): Promise<void> {
    if (this.#sessions.size === 1) return session.last;
    const { last } = session;
    const watcher = await this.#session('(watcher)');
    for (let waiting = false; !waiting; ) {
      const over = await Promise.race([last.then(() => true), delay(BLOCKED_POLL_MS, false)]);
      if (over) return;
      const { rows } = await watcher.client.query<{ waiting: boolean }>("SELECT wait_event_type = 'Lock' AS waiting FROM pg_stat_activity WHERE pid = $1", [session.pid]);
      waiting = rows[0]?.waiting === true;
    }
  }
}
