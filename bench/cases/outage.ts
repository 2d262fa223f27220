import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench.js';
import { Table, type Section } from '../measure.js';
import { startContender, withSlot } from '../run.js';
import type { BenchDatabase } from '../stage.js';

/** An endpoint that refuses connections until it is back, and counts from then on. */
class Absent {
  readonly #server: Server;
  #port = 0;
  #backAt = 0;
  requests = 0;
  lastMs = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      request.resume().once('end', () => {
        this.requests += 1;
        this.lastMs = performance.now() - this.#backAt;
        response.end();
      });
    });
  }

  /** A port that nobody listens on. */
  async leave(): Promise<string> {
    this.#server.listen({ port: 0, host: '127.0.0.1' });
    await once(this.#server, 'listening');
    const address = this.#server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : 0;
    await this.close();
    return `http://127.0.0.1:${this.#port}/`;
  }

  async comeBack(): Promise<void> {
    this.#backAt = performance.now();
    this.#server.listen({ port: this.#port, host: '127.0.0.1' });
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }
}

/**
 * (k) What an endpoint gets that was away while a busy chat went on for an hour: ten messages a minute, each with six
 * reactions, every third corrected, every twentieth deleted. Nobody waits an hour for it here: what counts is what waits.
 */
export async function outage(bench: Bench): Promise<readonly Section[]> {
  const messages = bench.size(300, 60);
  const table = new Table();
  for (let round = 0; round < bench.rounds; round += 1) {
    await bench.stage.withDatabase(async (database) => {
      const receivers = new Map([['each notification', new Absent()], ['conflate', new Absent()], ['each, in the order of the channel', new Absent()]]);
      const urls = await Promise.all([...receivers.values()].map(async (receiver) => receiver.leave()));
      await database.register(urls.map((url) => ({ url })));
      await database.client.query("SET slackchat_bridge.own_write = 'on'");
      await database.client.query('UPDATE slackchat_bridge.webhooks SET conflate = true WHERE endpoint = $1', [urls[1]]);
      await database.client.query("UPDATE slackchat_bridge.webhooks SET ordering = 'channel' WHERE endpoint = $1", [urls[2]]);
      await database.mark();
      await withSlot(database, async (slot) => {
        const bridge = startContender({ contender: 'ours', database, slot, endpoint: '', env: { RETRY_MAX_MS: '1000' } });
        const written = await chatFor(database, messages);
        await confirmed(database, slot);
        const waiting = new Map((await database.client.query<{ endpoint: string; n: string }>(
          'SELECT endpoint, count(*) AS n FROM slackchat_bridge.deliveries JOIN slackchat_bridge.webhooks w ON w.id = webhook_id GROUP BY endpoint')).rows.map(({ endpoint, n }) => [endpoint, Number(n)]));
        await Promise.all([...receivers.values()].map(async (receiver) => receiver.comeBack()));
        while ((await database.client.query('SELECT FROM slackchat_bridge.deliveries LIMIT 1')).rowCount !== 0) await delay(50);
        for (const [index, [name, { requests, lastMs }]] of [...receivers].entries()) table.add(name, { committed: written, 'rows that waited': waiting.get(urls[index] ?? '') ?? 0, requests, 'until the last s': lastMs / 1000 });
        await bridge.stop();
      });
      for (const receiver of receivers.values()) await receiver.close();
    });
  }
  return [
    {
      title: `(k) An endpoint that was away while ${messages} messages were written, each with six reactions, every third corrected, every twentieth deleted`,
      about: 'What was committed, what waited for it in rows, and how many requests it got once it was back.',
      rows: table.rows,
      goals: [],
    },
  ];
}

/** @returns how many transactions that were */
async function chatFor(database: BenchDatabase, messages: number): Promise<number> {
  let written = 0;
  const run = async (text: string, values: readonly unknown[] = []): Promise<void> => {
    await database.client.query(text, [...values]);
    written += 1;
  };
  for (let id = 1; id <= messages; id += 1) {
    await run(`SELECT bench_message('A message as people write them, some words long.')`);
    // Reactions come to the last few messages, in turn.
    for (let index = 0; index < 6; index += 1) {
      await run(
        `INSERT INTO slackchat_reaction (timestamp, reaction, message_id, user_id)
         SELECT timestamptz '2018-10-16 17:23:49+00' + $1::int * interval '7 us', 'thumbsup', id, 1 + $1::int % 100 FROM slackchat_message ORDER BY id DESC OFFSET $1::int % 5 LIMIT 1`,
        [id * 6 + index],
      );
    }
    if (id % 3 === 0) await run(`UPDATE slackchat_message SET text = text || ' (corrected)' WHERE id = $1`, [id - 2]);
    if (id % 20 === 0) await run('WITH r AS (DELETE FROM slackchat_reaction WHERE message_id = $1) DELETE FROM slackchat_message WHERE id = $1', [id - 10]);
  }
  return written;
}

async function confirmed(database: BenchDatabase, slot: string): Promise<void> {
  const { rows } = await database.client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  for (;;) {
    const found = await database.client.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn', [slot, rows[0]?.lsn]);
    if (found.rowCount === 1) return;
    await delay(50);
  }
}
