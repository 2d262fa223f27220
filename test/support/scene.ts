import { expect, onTestFinished } from 'vitest';
import type { Chat } from './chat.js';
import { createDatabase, type TestDatabase } from './database.js';
import { eventually } from './eventually.js';
import { bridgeEnv, startBridge, type BridgeProcess } from './process.js';
import { startReceiver, type ReceivedRequest, type Receiver } from './receiver.js';

/** A chat database, a receiver and what a bridge between them is started with. */
export interface Scene {
  readonly db: TestDatabase;
  readonly chat: Chat;
  readonly hook: Receiver;
  readonly env: Record<string, string>;
  /** The real process, streaming. */
  readonly start: (env?: Readonly<Record<string, string>>) => Promise<BridgeProcess>;
  /** Registers an endpoint and waits until it is verified. @returns its id */
  readonly register: (endpoint: string, columns?: Readonly<Record<string, unknown>>) => Promise<string>;
}

export interface SceneOptions {
  readonly serverUrl?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export async function createScene(options: SceneOptions = {}): Promise<Scene> {
  const db = await createDatabase(options.serverUrl === undefined ? {} : { serverUrl: options.serverUrl });
  onTestFinished(async () => db.drop());
  const hook = await startReceiver();
  onTestFinished(async () => hook.close());
  const chat = await db.seedChat();
  const env = { ...bridgeEnv(db), RETRY_BASE_MS: '50', ...options.env };
  return {
    db,
    chat,
    hook,
    env,
    async start(more = {}) {
      const bridge = startBridge({ ...env, ...more }, ['run', '--setup']);
      await bridge.waitReady();
      return bridge;
    },
    async register(endpoint, columns = {}) {
      const names = ['endpoint', ...Object.keys(columns)];
      const values = [endpoint, ...Object.values(columns)];
      const places = names.map((_name, index) => `$${index + 1}`).join(', ');
      const [row] = await db.query<{ id: string }>(`INSERT INTO slackchat_bridge.webhooks (${names.join(', ')}) VALUES (${places}) RETURNING id`, values);
      const id = row?.id ?? '';
      await waitVerified(db, id);
      return id;
    },
  };
}

export async function waitVerified(db: TestDatabase, id: string): Promise<void> {
  await eventually(async () => {
    expect(await db.query('SELECT verified, last_error FROM slackchat_bridge.webhooks WHERE id = $1', [id])).toEqual([{ verified: true, last_error: null }]);
  });
}

/** A scene in which the bridge streams and the receiver is verified. */
export async function runningScene(options: SceneOptions = {}): Promise<Scene & { readonly bridge: BridgeProcess; readonly webhookId: string }> {
  const scene = await createScene(options);
  const bridge = await scene.start();
  const webhookId = await scene.register(scene.hook.url);
  return { ...scene, bridge, webhookId };
}

/** The bridge has reported to the server that it is done with everything up to now. */
export async function waitConfirmed(db: TestDatabase): Promise<void> {
  const [now] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await eventually(async () => {
    const [slot] = await db.query<{ done: boolean }>('SELECT confirmed_flush_lsn >= $2::pg_lsn AS done FROM pg_replication_slots WHERE slot_name = $1', [db.slotName, now?.lsn]);
    expect(slot).toEqual({ done: true });
  }, { timeoutMs: 15_000 });
}

/** Kind and content, in the order of arrival; repeats of one webhook-id left out. */
export function told(requests: readonly ReceivedRequest[]): string[] {
  const seen = new Set<string>();
  return requests.flatMap(({ headers, body }) => {
    const id = String(headers['webhook-id']);
    if (seen.has(id)) return [];
    seen.add(id);
    return [`${body.update_type ?? body.type ?? ''} ${body.message?.content ?? ''}`.trim()];
  });
}

/** One message's requests, `count` of them beside repeats: in commit order, no older content after a newer one, the last as given. */
export function expectInOrder(requests: readonly ReceivedRequest[], count: number, last: string): void {
  const ids = requests.map(({ headers }) => String(headers['webhook-id']));
  expect(ids).toEqual(ids.toSorted());
  expect(new Set(ids).size).toBe(count);
  const contents = requests.map(({ body }) => body.message?.content ?? '');
  expect(contents).toEqual(contents.toSorted());
  expect(contents.at(-1)).toBe(last);
}
