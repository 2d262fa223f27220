import { once } from 'node:events';
import { connect } from 'node:net';
import { Client } from 'pg';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertAttachment, insertKwarg, insertMessage, insertReaction } from '../support/chat.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { closedGate } from '../support/gate.js';
import { startReceiver, type Receiver, type ReceiverOptions } from '../support/receiver.js';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.js';

async function database(): Promise<TestDatabase> {
  const made = await createDatabase();
  onTestFinished(async () => made.drop());
  return made;
}

async function receiver(options?: ReceiverOptions): Promise<Receiver> {
  const made = await startReceiver(options);
  onTestFinished(async () => made.close());
  return made;
}

async function proxy(port: number): Promise<TcpProxy> {
  const made = await startProxy(port);
  onTestFinished(async () => made.close());
  return made;
}

const post = async (to: Receiver, body: unknown, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> => {
  const response = await fetch(to.url, { method: 'POST', body: JSON.stringify(body), headers });
  return { status: response.status, text: await response.text() };
};

describe('a test database', () => {
  test('takes a chat with its children', async () => {
    const db = await database();
    const {
      userIds: [user],
      channelId,
    } = await db.seedChat();
    const messageId = await insertMessage(db.pool, { channelId, userId: user, serialized: { a: 1 } });
    await insertReaction(db.pool, { messageId, userId: user });
    await insertAttachment(db.pool, { messageId, image_url: 'https://example.org/a.png' });
    await insertKwarg(db.pool, { messageId, userId: user });
    expect(await db.query('SELECT serialized, extract(microseconds FROM timestamp) > 0 AS micros FROM slackchat_message')).toEqual([
      { serialized: { a: 1 }, micros: true },
    ]);
  });

  test('can be on a server of its own, and outlive a restart of it', async () => {
    const server = await startPostgres();
    onTestFinished(async () => server.dispose());
    const db = await createDatabase({ serverUrl: server.url() });
    const { channelId } = await db.seedChat();
    await server.stop('immediate');
    await server.start();
    expect(await db.query('SELECT id FROM slackchat_channel')).toEqual([{ id: channelId }]);
    await db.drop();
  });

  test('is dropped with its slot while that is in use', async () => {
    const db = await createDatabase();
    await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [db.slotName]);
    await db.query('CREATE PUBLICATION p FOR ALL TABLES');
    const stream = new Client({ connectionString: db.url, replication: 'database' } as ConstructorParameters<typeof Client>[0]);
    stream.on('error', () => undefined);
    await stream.connect();
    const ended = expect(stream.query(`START_REPLICATION SLOT ${db.slotName} LOGICAL 0/0 (proto_version '1', publication_names 'p')`)).rejects.toThrow();
    await db.drop();
    await ended;
    const admin = new Client({ connectionString: inject('server').url });
    await admin.connect();
    const { rows } = await admin.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 UNION SELECT 1 FROM pg_database WHERE datname = $1', [db.name]);
    expect(rows).toEqual([]);
    await admin.end();
  });
});

describe('a receiver', () => {
  test('answers challenges and records the rest', async () => {
    const hook = await receiver();
    expect((await post(hook, { type: 'url_verification', challenge: 'abc' })).text.trim()).toBe('abc');
    hook.challenge = 'json';
    expect(JSON.parse((await post(hook, { type: 'url_verification', challenge: 'abc' })).text)).toEqual({ challenge: 'abc' });
    const arrived = hook.waitForNotifications(1);
    await post(hook, { type: 'update_notification', message: { user: 'U1' } });
    expect((await arrived)[0]?.body.message?.user).toBe('U1');
    expect(hook.requests).toHaveLength(3);
  });

  test('counts attempts and answers as it is told', async () => {
    const hook = await receiver({ respond: (_, attempt) => ({ status: attempt === 1 ? 503 : 204 }) });
    expect((await post(hook, {}, { 'webhook-id': 'a' })).status).toBe(503);
    expect((await post(hook, {}, { 'webhook-id': 'a' })).status).toBe(204);
    const gate = closedGate();
    hook.respond = () => ({ status: 200, delayUntil: gate.opened });
    const both = Promise.all([post(hook, { type: 'x' }), post(hook, { type: 'x' })]);
    await hook.waitFor((request) => request.body.type === 'x', { count: 2 });
    expect(hook.peakInFlight).toBe(2);
    gate.open();
    await both;
    hook.respond = () => ({ status: 200, destroy: true });
    await expect(post(hook, {})).rejects.toThrow();
  });

  test('lists what came instead of what was awaited', async () => {
    const hook = await receiver();
    await post(hook, { type: 'republish_request' });
    await expect(hook.waitFor(() => false, { timeoutMs: 20 })).rejects.toThrow(/0 of 1 .*POST \/hook .*republish_request/s);
  });

  test('can be dead for a while', async () => {
    const hook = await receiver();
    await hook.stopListening();
    await expect(post(hook, {})).rejects.toThrow();
    await hook.listenAgain();
    expect((await post(hook, {})).status).toBe(200);
  });
});

describe('a proxy', () => {
  test('passes a database session through, until it is cut', async () => {
    const db = await database();
    const between = await proxy(Number(new URL(db.url).port));
    const client = new Client({ connectionString: db.urlVia(between.port) });
    const lost = once(client, 'error');
    await client.connect();
    const { rows } = await client.query("SELECT length(repeat('x', 5000000)) AS n, repeat('x', 5000000) AS x");
    expect(rows[0]).toMatchObject({ n: 5_000_000 });
    between.cut();
    await lost;
    await between.refuse(true);
    await expect(new Client({ connectionString: db.urlVia(between.port) }).connect()).rejects.toThrow('ECONNREFUSED');
    await between.refuse(false);
    const again = new Client({ connectionString: db.urlVia(between.port) });
    await again.connect();
    await again.end();
  });

  test('holds everything back in a black hole, and lets it through after', async () => {
    const hook = await receiver();
    const between = await proxy(hook.port);
    const socket = connect(between.port, '127.0.0.1');
    await once(socket, 'connect');
    between.blackhole(true);
    socket.write('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}');
    await expect(hook.waitForNotifications(1, { timeoutMs: 100 })).rejects.toThrow('nothing');
    between.blackhole(false);
    await hook.waitForNotifications(1);
    between.delay(50);
    const sent = performance.now();
    socket.write('POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}');
    const [, second] = await hook.waitForNotifications(2);
    expect((second?.receivedAt ?? 0) - sent).toBeGreaterThan(45);
    socket.destroy();
  });
});
