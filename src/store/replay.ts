import type pg from 'pg';

/** So many messages are asked for in one transaction, and so many rows may wait for an endpoint that takes what it gets. */
const PAGE = 500;

/** Times are ISO 8601 with microseconds, UTC. */
const ISO = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;

/** Which messages, and to whom. */
export interface Asked {
  readonly since: string;
  /** null: up to the newest that there is at the begin */
  readonly until: string | null;
  /** null: of all channels */
  readonly channels: readonly string[] | null;
  /** null: to all endpoints */
  readonly webhooks: readonly string[] | null;
}

/** How far it has come. */
export interface Progress {
  readonly messages: number;
  readonly since: string;
  readonly until: string | null;
  /** to go on from here; null: everything has been asked for */
  readonly next: string | null;
}

interface PageRow {
  readonly since: string;
  readonly until: string;
  readonly messages: string;
  readonly last_at: string | null;
  readonly last_id: string | null;
}

/** Asks for messages to be told once more, a page at a time (slackchat_bridge.replay_page), and knows when a page is told. */
export class ReplayPages {
  readonly #client: Pick<pg.ClientBase, 'query'>;
  readonly #slotsOf: (count: number) => readonly string[];
  readonly #asked: Asked;
  #progress: Progress;
  #lastId: string | null = null;
  /** where the WAL ended after the last page */
  #end = '0/0';

  /** @param slotsOf of all instances, where so many share the messages */
  constructor(client: Pick<pg.ClientBase, 'query'>, slotsOf: (count: number) => readonly string[], asked: Asked) {
    this.#client = client;
    this.#slotsOf = slotsOf;
    this.#asked = asked;
    this.#progress = { messages: 0, since: asked.since, until: asked.until, next: asked.since };
  }

  /** Asks for one more page, in a transaction of its own. */
  async ask(): Promise<Progress> {
    const { messages, since, until, next } = this.#progress;
    const { channels, webhooks } = this.#asked;
    const { rows } = await this.#client.query<PageRow>(
      `SELECT to_char($1::timestamptz AT TIME ZONE 'UTC', ${ISO}) AS since, to_char(p.until AT TIME ZONE 'UTC', ${ISO}) AS until, p.messages::text, to_char(p.last_at AT TIME ZONE 'UTC', ${ISO}) AS last_at, p.last_id
         FROM slackchat_bridge.replay_page($1, $2, $3, $4, $5, $6, $7) AS p`,
      [since, until, channels, webhooks, this.#lastId === null ? null : next, this.#lastId, PAGE],
    );
    const [page] = rows;
    if (page === undefined) return this.#progress;
    this.#lastId = page.last_id;
    const count = Number(page.messages);
    this.#progress = { messages: messages + count, since: page.since, until: page.until, next: count < PAGE ? null : page.last_at };
    const end = await this.#client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    this.#end = end.rows[0]?.lsn ?? this.#end;
    return this.#progress;
  }

  /** @returns what the page waits for, in words; null: it is delivered, or stored for endpoints that do not take it */
  async waitsFor(): Promise<string | null> {
    const shards = await this.#client.query<{ value: string }>("SELECT value FROM slackchat_bridge.meta WHERE key = 'shards'");
    const slots = this.#slotsOf(Number(shards.rows[0]?.value ?? 1));
    const found = await this.#client.query<{ name: string; active: boolean; passed: boolean | null }>(
      'SELECT slot_name AS name, active, confirmed_flush_lsn >= $2::pg_lsn AS passed FROM pg_replication_slots WHERE slot_name = ANY ($1)',
      [slots, this.#end],
    );
    for (const slot of slots) {
      const state = found.rows.find(({ name }) => name === slot);
      if (state === undefined) return `there is no replication slot ${slot}: slackchat-bridge setup makes it`;
      if (state.passed !== true) return state.active ? 'the bridge delivers' : `no bridge streams from the slot ${slot}`;
    }
    const behind = await this.#client.query<{ id: string; count: string }>(
      `SELECT d.webhook_id::text AS id, count(*)::text FROM slackchat_bridge.deliveries d JOIN slackchat_bridge.webhooks w ON w.id = d.webhook_id
        WHERE d.yields AND d.status = 'waiting' AND w.enabled AND w.verified AND w.last_error IS NULL
        GROUP BY d.webhook_id HAVING count(*) >= $1 ORDER BY d.webhook_id LIMIT 1`,
      [PAGE],
    );
    const [slow] = behind.rows;
    return slow === undefined ? null : `webhook ${slow.id} has ${slow.count} of them waiting behind what is live`;
  }

  /** Those that are told nothing, each with the reason. */
  async deaf(): Promise<readonly string[]> {
    const { rows } = await this.#client.query<{ id: string; enabled: boolean; verified: boolean }>('SELECT id::text AS id, enabled, verified FROM slackchat_bridge.webhooks WHERE $1::bigint[] IS NULL OR id = ANY ($1) ORDER BY webhooks.id', [this.#asked.webhooks]);
    const deaf = rows.filter(({ enabled, verified }) => !enabled || !verified);
    if (this.#asked.webhooks === null) return deaf.length === rows.length ? ['no endpoint is verified: nobody is told'] : [];
    return deaf.map(({ id, enabled }) => `webhook ${id} is not ${enabled ? 'verified' : 'enabled'}: it is not told`);
  }
}
