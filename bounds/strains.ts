import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Child } from '../bench/child.js';
import type { BenchDatabase, Endpoint } from '../bench/stage.js';
import type { Receiver } from './receiver.js';

/** What one strain gets: a database of its own with the bridge set up, and nothing running. */
export interface Scene {
  readonly database: BenchDatabase;
  readonly receiver: Receiver;
  /** the whole size, or a tenth, a hundredth of it */
  size(whole: number): number;
  /** Registers the endpoints and marks from where on the stream is told. */
  register(endpoints: readonly Endpoint[]): Promise<void>;
  /** Starts the bridge on what was committed since. */
  start(env?: Readonly<Record<string, string>>): Promise<Child>;
}

export interface Strain {
  readonly name: (size: Scene['size']) => string;
  /** MB that it may take beside the base and MAX_BUFFER_MB, which does not count them; by default none */
  readonly more?: (size: Scene['size']) => number;
  /** Ends when the bridge has been through it. @returns what is to be said beside */
  readonly run: (scene: Scene) => Promise<string | void>;
}

const CHANNEL = '00000000-0000-4000-8000-000000000000';
const number = (value: number): string => value.toLocaleString('en-US');

async function messages({ database }: Scene, count: number, text: string): Promise<void> {
  await database.client.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id)
     SELECT '2001-01-01'::timestamptz + (nextval('bench_tick') * interval '1 ms'), $3, $2, 1 FROM generate_series(1, $1::int)`,
    [count, CHANNEL, text],
  );
}

async function parked({ database }: Scene, condition: string, count: number): Promise<void> {
  for (;;) {
    const { rows } = await database.client.query<{ n: number }>(`SELECT count(*)::int AS n FROM slackchat_bridge.deliveries WHERE ${condition}`);
    if ((rows[0]?.n ?? 0) >= count) return;
    await delay(100);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1' }, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** What is known of one endpoint, and what was of it and is not collected yet. */
const ENDPOINT_MB = 0.01;

const TEXT = 'A message as people write them, some words long.';

export const STRAINS: Readonly<Record<string, Strain>> = {
  base: {
    name: () => 'a thousand messages, one at a time',
    async run(scene) {
      await scene.register([{ url: scene.receiver.url('/count') }]);
      await scene.start();
      await scene.database.messages(1_000, 1);
      await scene.receiver.received(1_000);
    },
  },
  transaction: {
    name: (size) => `one transaction of ${number(size(1_000_000))} rows`,
    async run(scene) {
      const count = scene.size(1_000_000);
      await scene.register([{ url: scene.receiver.url('/count') }]);
      await messages(scene, count, TEXT);
      await scene.start();
      await scene.receiver.received(count);
    },
  },
  text: {
    name: () => 'ten messages of 10 MB, inserted and changed: over MAX_PAYLOAD_MB',
    // One row is in memory as a whole: as it comes, grown to twice its size, and decoded.
    more: () => 6 * 10,
    async run(scene) {
      await scene.register([{ url: scene.receiver.url('/count') }]);
      for (let count = 0; count < 10; count += 1) await messages(scene, 1, 'x'.repeat(10 * 1024 * 1024));
      await scene.database.client.query("UPDATE slackchat_message SET text = text || 'y'");
      await scene.start();
      await parked(scene, "status = 'dead'", 20);
    },
  },
  fits: {
    name: () => 'ten messages of 7 MB to ten endpoints',
    async run(scene) {
      await scene.register(Array.from({ length: 10 }, (_item, index) => ({ url: scene.receiver.url(`/count/${index}`) })));
      for (let count = 0; count < 10; count += 1) await messages(scene, 1, 'x'.repeat(7 * 1024 * 1024));
      await scene.start();
      await scene.receiver.received(100);
    },
  },
  hanging: {
    name: (size) => `${number(size(200_000))} messages while one of two endpoints hangs`,
    async run(scene) {
      const count = scene.size(200_000);
      await scene.register([{ url: scene.receiver.url('/count') }, { url: scene.receiver.url('/hang') }]);
      await scene.start();
      for (let sent = 0; sent < count; sent += 1_000) await messages(scene, 1_000, TEXT);
      await scene.receiver.received(count);
      await parked(scene, 'true', count);
    },
  },
  endpoints: {
    name: (size) => `${number(size(10_000))} endpoints, 20 messages to each`,
    more: (size) => size(10_000) * ENDPOINT_MB,
    async run(scene) {
      const count = scene.size(10_000);
      await scene.register(Array.from({ length: count }, (_item, index) => ({ url: scene.receiver.url(`/count/${index}`) })));
      await scene.start();
      await messages(scene, 20, TEXT);
      await scene.receiver.received(20 * count);
    },
  },
  parked: {
    name: (size) => `${number(size(1_000_000))} parked deliveries at the start`,
    async run(scene) {
      const count = scene.size(1_000_000);
      await scene.register([{ url: scene.receiver.url('/count') }]);
      await scene.database.client.query(
        `INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, next_attempt_at)
         SELECT w.id, 'n' || i, 'message:' || i, '0/1', i, 'c', json_build_object('type', 'update_notification', 'text', repeat('x', 300))::text, now()
           FROM slackchat_bridge.webhooks w, generate_series(1, $1::int) i`,
        [count],
      );
      await scene.database.client.query('ANALYZE slackchat_bridge.deliveries');
      await scene.start();
      // A tenth of them: the rest is more of the same.
      await scene.receiver.received(Math.ceil(count / 10));
    },
  },
  idle: {
    name: (size) => `${number(size(10_000))} endpoints, ${number(size(1_000_000))} parked deliveries of a tenth of them that are not due, nothing to do`,
    more: (size) => size(10_000) * ENDPOINT_MB,
    async run(scene) {
      const [endpoints, waiting] = [scene.size(10_000), scene.size(1_000_000)];
      await scene.register(Array.from({ length: endpoints }, (_item, index) => ({ url: scene.receiver.url(`/count/${index}`) })));
      await scene.database.client.query(
        `INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, attempts, next_attempt_at)
         SELECT w.id, 'n' || i, 'message:' || i, '0/1', i, 'c', json_build_object('type', 'update_notification', 'text', repeat('x', 300))::text, 1, now() + interval '1 hour'
           FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM slackchat_bridge.webhooks) w JOIN generate_series(1, $1::int) i ON i % $2 = w.place`,
        [waiting, Math.ceil(endpoints / 10)],
      );
      await scene.database.client.query('ANALYZE slackchat_bridge.deliveries');
      const port = await freePort();
      const began = performance.now();
      const bridge = await scene.start({ ADMIN_PORT: String(port) });
      const ask = async (path: string): Promise<{ readonly ok: boolean; readonly kb: number; readonly ms: number }> => {
        const asked = performance.now();
        const answer = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => null);
        return { ok: answer?.ok === true, kb: ((await answer?.text()) ?? '').length / 1024, ms: performance.now() - asked };
      };
      while (!(await ask('/readyz')).ok) await delay(20);
      const ready = performance.now() - began;
      // What it does once after the start is done.
      await delay(20_000);
      const { cpuMs } = await bridge.usage();
      await delay(30_000);
      const idle = (await bridge.usage()).cpuMs - cpuMs;
      const inserted = performance.now();
      await scene.database.client.query('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1)', [scene.receiver.url('/echo')]);
      for (;;) {
        const { rows } = await scene.database.client.query<{ verified: boolean }>('SELECT verified FROM slackchat_bridge.webhooks ORDER BY id DESC LIMIT 1');
        if (rows[0]?.verified === true) break;
        await delay(10);
      }
      const verified = performance.now() - inserted;
      const told = performance.now();
      await messages(scene, 1, TEXT);
      await scene.receiver.received(1);
      const first = performance.now() - told;
      const [metrics, status] = [await ask('/metrics'), await ask('/api/status')];
      return `ready after ${(ready / 1000).toFixed(1)} s; idle ${(idle / 300).toFixed(1)} % of a core; verified ${verified.toFixed(0)} ms after the INSERT; the first request ${first.toFixed(0)} ms after a commit; `
        + `/metrics ${metrics.kb.toFixed(0)} kB in ${metrics.ms.toFixed(0)} ms; /api/status ${status.kb.toFixed(0)} kB in ${status.ms.toFixed(0)} ms`;
    },
  },
  rows: {
    name: () => 'two hundred parked deliveries of 2 MB at each of five endpoints',
    async run(scene) {
      await scene.register(Array.from({ length: 5 }, (_item, index) => ({ url: scene.receiver.url(`/count/${index}`) })));
      await scene.database.client.query(
        `INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, next_attempt_at)
         SELECT w.id, 'n' || i, 'message:' || i, '0/1', i, 'c', json_build_object('type', 'update_notification', 'text', repeat('x', 2000000))::text, now()
           FROM slackchat_bridge.webhooks w, generate_series(1, 200) i`,
      );
      await scene.start();
      await scene.receiver.received(1_000);
    },
  },
  endless: {
    name: (size) => `${number(size(10_000))} messages to a receiver that answers without end`,
    async run(scene) {
      const count = scene.size(10_000);
      await scene.register([{ url: scene.receiver.url('/endless') }]);
      await scene.start();
      await messages(scene, count, TEXT);
      await scene.receiver.received(count);
    },
  },
  resync: {
    name: (size) => `an announcement of ${number(size(1_000_000))} channels`,
    async run(scene) {
      const count = scene.size(1_000_000);
      await scene.database.client.query(
        `INSERT INTO slackchat_channel (id, publish_path, live, chat_type_id, owner_id, published)
         SELECT ('00000000-0000-4000-8001-' || lpad(i::text, 12, '0'))::uuid, 'c' || i, true, 1, 1, false FROM generate_series(1, $1::int) i`,
        [count],
      );
      await scene.register([{ url: scene.receiver.url('/count') }]);
      await scene.database.client.query('SELECT slackchat_bridge.resync(id) FROM slackchat_bridge.webhooks');
      await scene.start();
      await scene.receiver.received(count);
    },
  },
  republish: {
    name: (size) => `republish of a channel of ${number(size(100_000))} messages`,
    async run(scene) {
      await messages(scene, scene.size(100_000), TEXT);
      await scene.register([{ url: scene.receiver.url('/count') }]);
      await scene.database.client.query('SELECT slackchat_bridge.republish($1)', [CHANNEL]);
      await scene.start();
      await scene.receiver.received(1);
    },
  },
  children: {
    name: () => 'a reaction to each of five hundred messages of 1 MB, in one transaction',
    async run(scene) {
      for (let count = 0; count < 10; count += 1) await messages(scene, 50, 'x'.repeat(1024 * 1024));
      await scene.register([{ url: scene.receiver.url('/count') }]);
      await scene.database.client.query(
        `INSERT INTO slackchat_reaction ("timestamp", reaction, message_id, user_id) SELECT '2001-01-01'::timestamptz + id * interval '1 ms', 'fire', id, 1 FROM slackchat_message`,
      );
      await scene.start();
      await scene.receiver.received(500);
    },
  },
  settling: {
    name: (size) => `${number(size(100_000))} reactions that wait for the application's own UPDATE`,
    async run(scene) {
      const count = scene.size(100_000);
      await messages(scene, count, TEXT);
      await scene.database.client.query("UPDATE slackchat_message SET serialized = '{}'");
      await scene.register([{ url: scene.receiver.url('/count') }]);
      await scene.database.client.query(
        `INSERT INTO slackchat_reaction ("timestamp", reaction, message_id, user_id) SELECT '2001-01-01'::timestamptz + id * interval '1 ms', 'fire', id, 1 FROM slackchat_message`,
      );
      await scene.start({ SETTLE_MS: '5000' });
      await scene.receiver.received(count);
    },
  },
};
