import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { TakenOverError } from '../../src/errors.js';
import { Term } from '../../src/store/term.js';
import type { ParkedDelivery, Repeating } from '../../src/store/parked-rows.js';
import { ParkedStore } from '../../src/store/parked.js';
import { createPool, sessionOptions } from '../../src/store/pool.js';
import { WebhookStore } from '../../src/store/webhooks.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { closedGate } from '../support/gate.js';

const NOTHING = { lanes: [], whileRepeating: false, yielding: false };

async function ownSchema(): Promise<TestDatabase> {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  await db.query('CREATE SCHEMA slackchat_bridge');
  for (const name of ['0001_webhooks_and_deliveries', '0004_conflation', '0006_replay']) await db.query(await readFile(join(import.meta.dirname, `../../sql/migrations/${name}.sql`), 'utf8'));
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1/')");
  return db;
}

interface Instance {
  readonly term: Term;
  readonly parked: ParkedStore;
  readonly webhooks: WebhookStore;
  /** what the stream is bringing once more */
  repeating: Repeating;
}

function instance({ pool }: Pick<TestDatabase, 'pool'>, slot = 'slot'): Instance {
  const term = new Term(pool, slot);
  const one: Instance = { term, parked: new ParkedStore(pool, term, () => one.repeating), webhooks: new WebhookStore(pool, term, slot, undefined), repeating: { from: 0n, to: 0n } };
  return one;
}

function row(notificationId: string, lsn: bigint, body = '{}'): ParkedDelivery {
  return { notificationId, lane: 'l', lsn, seq: 0, channelId: 'c', body, attempts: 0, firstAttemptAt: null, lastStatus: null, lastError: null, nextAttemptAt: null, dead: false, messageId: null, updateType: null, repeated: false, replay: false, begun: false };
}

async function due({ parked }: Instance): Promise<readonly string[]> {
  return (await parked.due('1', { lanes: 10, rows: 10, bytes: 1e6 }, NOTHING, false)).map(({ notificationId }) => notificationId);
}

test('an instance whose time is over writes nothing and brings nothing back', async () => {
  const db = await ownSchema();
  const [first, second] = [instance(db), instance(db)];
  await first.term.take();
  await first.parked.park('1', [row('n1', 1n)]);
  await second.term.take();
  await second.term.check();
  await expect(first.term.check()).rejects.toThrow(TakenOverError);
  await expect(first.parked.park('1', [row('n2', 2n)])).rejects.toThrow(TakenOverError);
  await expect(first.parked.finish('1', [{ kind: 'delivered', notificationId: 'n1', lane: 'l' }])).rejects.toThrow(TakenOverError);
  await expect(first.parked.expire('1', 0, 'too old')).rejects.toThrow(TakenOverError);
  await expect(first.webhooks.disable('1', 'it answered 410 to something of long ago')).rejects.toThrow(TakenOverError);
  await expect(first.webhooks.failing('1', 'x')).rejects.toThrow(TakenOverError);
  expect(await due(first)).toEqual([]);
  await second.parked.park('1', [row('n3', 3n)]);
  expect(await due(second)).toEqual(['n1', 'n3']);
  expect(await db.query('SELECT notification_id AS id, status, enabled, w.last_error FROM slackchat_bridge.deliveries d JOIN slackchat_bridge.webhooks w ON w.id = webhook_id ORDER BY 1')).toEqual([
    { id: 'n1', status: 'waiting', enabled: true, last_error: null },
    { id: 'n3', status: 'waiting', enabled: true, last_error: null },
  ]);
});

test('instances with another slot write beside each other', async () => {
  const db = await ownSchema();
  const [one, other] = [instance(db, 'one'), instance(db, 'other')];
  await one.term.take();
  await other.term.take();
  await one.parked.park('1', [row('n1', 1n)]);
  await one.term.check();
});

test('whoever takes over waits for what is being parked at that moment, and finds it', async () => {
  const db = await ownSchema();
  const [first, second] = [instance(db), instance(db)];
  await first.term.take();
  const blocker = await db.pool.connect();
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE slackchat_bridge.deliveries IN EXCLUSIVE MODE');
  const parking = first.parked.park('1', [row('n1', 1n)]);
  const waiting = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
  await expect.poll(async () => db.query(waiting)).toEqual([{ n: 1 }]);
  const leading = second.term.take();
  await expect.poll(async () => db.query(waiting)).toEqual([{ n: 2 }]);
  await blocker.query('COMMIT');
  blocker.release();
  await Promise.all([parking, leading]);
  expect(await second.parked.lanes('1', 10)).toEqual(['l']);
});

test('an instance that hangs in the middle of a write does not keep another one from taking over', { timeout: 30_000 }, async () => {
  const db = await ownSchema();
  const pool = createPool(() => ({ connectionString: db.url }), '', 1, () => undefined);
  onTestFinished(async () => pool.end());
  const [first, second] = [instance({ pool }), instance(db)];
  await first.term.take();
  const gate = closedGate();
  const hanging = first.term.transaction(async (client) => {
    gate.open();
    await new Promise((resolve) => client.once('end', resolve));
    await client.query('SELECT 1');
  });
  hanging.catch(() => undefined);
  await gate.opened;
  await second.term.take();
  await expect(hanging).rejects.toThrow();
});

test('what is put off is not due sooner because its write had to wait', async () => {
  const db = await ownSchema();
  const one = instance(db);
  await one.term.take();
  const blocker = await db.pool.connect();
  await blocker.query('BEGIN');
  await blocker.query('SELECT FROM slackchat_bridge.meta FOR UPDATE');
  const at = Date.now() + 60_000;
  const parking = one.parked.park('1', [{ ...row('n1', 1n), nextAttemptAt: at }]);
  await expect.poll(async () => db.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).toEqual([{ n: 1 }]);
  await blocker.query('COMMIT');
  blocker.release();
  await parking;
  const [stored] = await db.query<{ ms: string }>('SELECT extract(epoch FROM next_attempt_at) * 1000 AS ms FROM slackchat_bridge.deliveries');
  expect(Number(stored?.ms)).toBeGreaterThan(at - 1);
});

test('heads of lanes are written with their time, others without, and none of them a second time', async () => {
  const db = await ownSchema();
  const one = instance(db);
  await one.term.take();
  // Not in the order of the commits; in the second batch one that goes before all of its lane.
  await one.parked.park('1', [row('n3', 3n), row('n2', 2n), { ...row('n4', 4n), lane: 'm' }, { ...row('n5', 5n), lane: 'o', nextAttemptAt: Date.now() + 60_000 }]);
  await one.parked.park('1', [row('n6', 6n), { ...row('n1', 1n), lane: 'm' }, { ...row('n7', 7n), lane: 'p' }]);
  const rows = await db.query<{ id: string; timed: boolean; place: string }>(
    'SELECT notification_id AS id, next_attempt_at IS NOT NULL AS timed, ctid::text AS place FROM slackchat_bridge.deliveries ORDER BY 1');
  expect(rows.filter(({ timed }) => timed).map(({ id }) => id)).toEqual(['n1', 'n2', 'n4', 'n5', 'n7']);
  // A row that is written again goes to another place, behind all others.
  expect(rows.map(({ place }) => place).toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7].map((place) => `(0,${place})`));
});

test('what is parked again is told as it was read last, and keeps its time', async () => {
  const db = await ownSchema();
  const { term, parked } = instance(db);
  await term.take();
  await parked.park('1', [{ ...row('n1', 1n, '{"old":1}'), attempts: 3, nextAttemptAt: Date.now() + 60_000 }]);
  await parked.park('1', [row('n1', 1n, '{"new":1}'), row('n2', 2n)]);
  expect(await db.query('SELECT notification_id AS id, body, attempts, next_attempt_at > now() AS later FROM slackchat_bridge.deliveries ORDER BY 1')).toEqual([
    { id: 'n1', body: '{"new":1}', attempts: 3, later: true },
    { id: 'n2', body: '{}', attempts: 0, later: null },
  ]);
});

test('what is parked again for another lane, because its message has moved, leaves its row as it is', async () => {
  const db = await ownSchema();
  const { term, parked } = instance(db);
  await term.take();
  await parked.park('1', [{ ...row('n1', 1n, '{"channel":"a"}'), lane: 'channel:a' }]);
  await parked.park('1', [{ ...row('n1', 1n, '{"channel":"b"}'), lane: 'channel:b' }, { ...row('n2', 2n), lane: 'channel:b' }]);
  expect(await db.query('SELECT notification_id AS id, lane, body FROM slackchat_bridge.deliveries ORDER BY 1')).toEqual([
    { id: 'n1', lane: 'channel:a', body: '{"channel":"a"}' },
    { id: 'n2', lane: 'channel:b', body: '{}' },
  ]);
});

test('of commits that the stream brings once more nothing is due before it has brought them; what they wait behind is, and so is what is of another server', async () => {
  const db = await ownSchema();
  const one = instance(db);
  await one.term.take();
  await one.parked.park('1', [row('n10', 10n), row('n20', 20n), { ...row('n15', 15n), lane: 'm' }, { ...row('n99', 99n), lane: 'n' }]);
  one.repeating = { from: 12n, to: 30n };
  expect([...(await due(one))].sort()).toEqual(['n10', 'n99']);
  await one.parked.finish('1', [{ kind: 'delivered', notificationId: 'n10', lane: 'l' }, { kind: 'delivered', notificationId: 'n99', lane: 'n' }]);
  expect(await due(one)).toEqual([]);
  expect(await one.parked.nextDueAt('1', NOTHING)).toBeNull();
  one.repeating = { from: 16n, to: 30n };
  expect(await due(one)).toEqual(['n15']);
  one.repeating = { from: 0n, to: 0n };
  expect([...(await due(one))].sort()).toEqual(['n15', 'n20']);
});

describe('of one lane comes what may go one after another', () => {
  const lane = (count: number, over: (number: number) => Partial<ParkedDelivery> = () => ({})): readonly ParkedDelivery[] => Array.from({ length: count }, (_item, index) => ({ ...row(`n${index + 1}`, BigInt(index + 1)), ...over(index + 1) }));

  async function comes(rows: readonly ParkedDelivery[], room = { lanes: 10, rows: 10, bytes: 1e6 }, least = false, repeating = { from: 0n, to: 0n }): Promise<readonly string[]> {
    const one = instance(await ownSchema());
    await one.term.take();
    await one.parked.park('1', rows);
    one.repeating = repeating;
    return (await one.parked.due('1', room, NOTHING, least)).map(({ notificationId, body }) => (body === null ? `${notificationId} without text` : notificationId));
  }

  test('and nothing after one that has to wait for its time', async () => {
    expect(await comes(lane(4, (number) => (number === 3 ? { nextAttemptAt: Date.now() + 60_000 } : {})))).toEqual(['n1', 'n2']);
  });

  test('and nothing after one that there is no room for', async () => {
    const text = (number: number): Partial<ParkedDelivery> => ({ body: 'x'.repeat(number === 3 ? 500 : 10) });
    expect(await comes(lane(4, text), { lanes: 10, rows: 10, bytes: 100 })).toEqual(['n1', 'n2']);
    expect(await comes(lane(4, text), { lanes: 10, rows: 10, bytes: 15 })).toEqual(['n1']);
    expect(await comes(lane(4, () => ({ body: 'x'.repeat(20) })), { lanes: 10, rows: 10, bytes: 15 })).toEqual(['n1 without text']);
  });

  test('and nothing of what the stream brings once more, nor past it', async () => {
    expect(await comes(lane(5), undefined, false, { from: 3n, to: 5n })).toEqual(['n1', 'n2']);
  });

  test('and nothing with one that has failed before, or is a probe', async () => {
    expect(await comes(lane(3, (number) => ({ attempts: number === 1 ? 1 : 0 })))).toEqual(['n1']);
    expect(await comes(lane(3), undefined, true)).toEqual(['n1']);
  });

  test('and nothing that yields, nor with one that does', async () => {
    expect(await comes([...lane(2), { ...row('n3', 3n), replay: true }])).toEqual(['n1', 'n2', 'n3']);
    const one = instance(await ownSchema());
    await one.term.take();
    await one.parked.park('1', lane(2));
    await one.parked.park('1', [{ ...row('n3', 3n), replay: true }, { ...row('m1', 4n), lane: 'm', replay: true }, { ...row('m2', 5n), lane: 'm', replay: true }]);
    expect(await due(one)).toEqual(['n1', 'n2', 'm1']);
  });

  test('the heads of all lanes first, and no more of one than others leave it', async () => {
    const two = lane(8, (number) => ({ lane: number % 2 === 0 ? 'even' : 'odd', nextAttemptAt: number < 3 ? Date.now() - 10_000 * (3 - number) : null }));
    expect(await comes(two, { lanes: 10, rows: 4, bytes: 1e6 })).toEqual(['n1', 'n2', 'n3', 'n4']);
    expect(await comes(two, { lanes: 1, rows: 4, bytes: 1e6 })).toEqual(['n1', 'n3', 'n5', 'n7']);
    const long = await comes(lane(100), { lanes: 10, rows: 500, bytes: 1e6 });
    expect(long).toHaveLength(64);
  });
});

test('of what is due no more text comes than there is room for; what alone is larger keeps nothing smaller back', async () => {
  const db = await ownSchema();
  const one = instance(db);
  await one.term.take();
  const sizes = { a: 40, b: 500, c: 40, d: 40 };
  for (const [index, [lane, size]] of Object.entries(sizes).entries()) {
    await one.parked.park('1', [{ ...row(lane, BigInt(index), 'ü'.repeat(size / 2)), lane }]);
  }
  await one.parked.park('1', [{ ...row('e', 9n), lane: 'e', dead: true, lastError: 'too large' }]);
  for (const leastTriedFirst of [false, true]) {
    const rows = await one.parked.due('1', { lanes: 10, rows: 10, bytes: 100 }, NOTHING, leastTriedFirst);
    expect(rows.map(({ notificationId, bytes, body }) => [notificationId, bytes, body?.length ?? null])).toEqual([['a', 40, 20], ['b', 500, null], ['c', 40, 20], ['d', 40, null]]);
  }
  expect(await db.query("SELECT status, last_error, next_attempt_at FROM slackchat_bridge.deliveries WHERE lane = 'e'")).toEqual([{ status: 'dead', last_error: 'too large', next_attempt_at: null }]);
});

test('what is brought back is marked as attempted before the attempt, where others could collapse with it', async () => {
  const db = await ownSchema();
  const one = instance(db);
  await one.term.take();
  const lane = (name: string): { readonly lane: string; readonly messageId: string } => ({ lane: `message:${name}`, messageId: name });
  await one.parked.park('1', [{ ...row('n1', 1n), ...lane('m1'), updateType: 'message_changed' }, { ...row('n2', 2n), ...lane('m2') }]);
  expect((await one.parked.waiting('1', [lane('m1'), lane('m2')])).map(({ notificationId, begun }) => [notificationId, begun])).toEqual([['n1', false], ['n2', false]]);
  expect([...(await due(one))].sort()).toEqual(['n1', 'n2']);
  expect((await one.parked.waiting('1', [lane('m1'), lane('m2')])).map(({ notificationId, begun }) => [notificationId, begun]).sort()).toEqual([['n1', true], ['n2', false]]);
  // What was attempted does not go.
  expect(await one.parked.park('1', [], ['n1', 'n2'])).toEqual(['message:m2']);
  expect(await due(one)).toEqual(['n1']);
});

test('of a channel\'s lane only what is about the messages is looked at, and the last about the channel as a whole', async () => {
  const db = await ownSchema();
  const { term, parked } = instance(db);
  await term.take();
  const about = (id: string, lsn: bigint, messageId: string | null): ParkedDelivery => ({ ...row(id, lsn), lane: 'channel:c', messageId, updateType: messageId === null ? null : 'message_changed' });
  await parked.park('1', [about('n1', 1n, 'a'), about('n2', 2n, null), about('n3', 3n, 'b'), about('n4', 4n, null), about('n5', 5n, 'a'), { ...about('n6', 6n, 'a'), lane: 'channel:d' }]);
  const found = await parked.waiting('1', [{ lane: 'channel:c', messageId: 'a' }, { lane: 'channel:c', messageId: 'a' }]);
  expect(found.map(({ notificationId }) => notificationId).sort()).toEqual(['n1', 'n4', 'n5']);
});

test('for an endpoint that conflates nothing at all is due while the stream brings commits once more', async () => {
  const db = await ownSchema();
  const one = instance(db);
  await one.term.take();
  await one.parked.park('1', [row('n1', 1n), { ...row('n99', 99n), lane: 'm' }]);
  one.repeating = { from: 12n, to: 30n };
  const conflating = { ...NOTHING, whileRepeating: true };
  expect((await one.parked.due('1', { lanes: 10, rows: 10, bytes: 1_000 }, conflating, false)).map(({ notificationId }) => notificationId)).toEqual(['n99']);
  one.repeating = { from: 0n, to: 0n };
  expect((await one.parked.due('1', { lanes: 10, rows: 10, bytes: 1_000 }, conflating, false)).map(({ notificationId }) => notificationId).sort()).toEqual(['n1', 'n99']);
});

test('a replay is due when nothing else is, and with all else once something else is behind it in its lane', async () => {
  const db = await ownSchema();
  const one = instance(db);
  await one.term.take();
  const again = (id: string, lsn: bigint, lane: string): ParkedDelivery => ({ ...row(id, lsn), lane, replay: true, nextAttemptAt: Date.now() - 60_000 });
  await one.parked.park('1', [again('r1', 1n, 'a'), again('r2', 2n, 'b'), again('r3', 3n, 'b'), { ...row('n4', 4n), lane: 'c' }]);
  const first = async (limit: number, yielding = false): Promise<string[]> => (await one.parked.due('1', { lanes: limit, rows: limit, bytes: 1e6 }, { ...NOTHING, yielding }, false)).map(({ notificationId, replay, yields }) => `${notificationId} ${replay} ${yields}`);
  expect(await first(2)).toEqual(['n4 false false', 'r1 true true']);
  expect(await first(5, true)).toEqual(['n4 false false']);
  await one.parked.park('1', [{ ...row('n5', 5n), lane: 'b' }]);
  expect(await first(2)).toEqual(['r2 true false', 'n4 false false']);
  await one.parked.finish('1', [{ kind: 'delivered', notificationId: 'n4', lane: 'c' }, { kind: 'delivered', notificationId: 'r2', lane: 'b' }]);
  expect(await first(5)).toEqual(['r3 true false', 'n5 false false', 'r1 true true']);
});

test('what was planned while hardly a row was there does not read all of them when there are many', async () => {
  const db = await ownSchema();
  const pool = createPool(() => ({ connectionString: db.url }), `${sessionOptions('UTC', 30_000)} -c plan_cache_mode=force_generic_plan`, 1, () => undefined);
  onTestFinished(async () => pool.end());
  const { term, parked } = instance({ pool });
  await term.take();
  await parked.park('1', [row('n1', 1n), row('n2', 2n)]);
  await db.query('ANALYZE slackchat_bridge.deliveries');
  for (const least of [false, true]) await parked.due('1', { lanes: 10, rows: 10, bytes: 1e6 }, NOTHING, least);
  await parked.park('1', [row('n1', 1n, 'again')], ['n2']);
  await parked.finish('1', [{ kind: 'retry', notificationId: 'n1', lane: 'l', status: 500, reason: 'x', attempts: 1, nextAttemptAt: 0 }, { kind: 'delivered', notificationId: 'n2', lane: 'l' }]);
  await parked.nextDueAt('1', NOTHING);
  await parked.waiting('1', [{ lane: 'l', messageId: 'm' }, { lane: 'channel:c', messageId: 'm' }]);
  await parked.expire('1', 1e9, 'too old');
  const { rows: statements } = await pool.query<{ name: string; parameters: string }>('SELECT name, cardinality(parameter_types) AS parameters FROM pg_catalog.pg_prepared_statements WHERE from_sql = false');
  expect(statements.map(({ name }) => name)).toEqual(expect.arrayContaining(['park', 'promote', 'due', 'due_least_tried', 'next_due', 'remove', 'note', 'waiting', 'expire']));
  for (const { name, parameters } of statements) {
    const { rows: plan } = await pool.query<{ 'QUERY PLAN': string }>(`EXPLAIN EXECUTE ${name}${Number(parameters) === 0 ? '' : `(${Array.from({ length: Number(parameters) }, () => 'NULL').join(', ')})`}`);
    expect(plan.filter((line) => line['QUERY PLAN'].includes('Seq Scan on deliveries')), name).toEqual([]);
  }
});
