import type { Bench } from '../bench.js';
import { median, Table, type Section } from '../measure.js';
import { steady } from './latency.js';
import { drain, withSlot, type Contender, type Drained } from '../run.js';
import type { Endpoint } from '../stage.js';

/** (e) Many endpoints: what a delivery costs. */
export async function fanout(bench: Bench): Promise<readonly Section[]> {
  const deliveries = bench.size(60_000, 40_000);
  const table = new Table();
  const rowOf = (contender: Contender, count: number): string => `${contender}, ${count} endpoint${count === 1 ? '' : 's'}`;
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const count of [1, 10, 100, 1_000]) {
      await bench.stage.withDatabase(async (database) => {
        const endpoints = Array.from({ length: count }, (_, index) => ({ url: bench.receiver.url(`/count/${index}`), maxInFlight: 4 }));
        await database.register(endpoints);
        await database.mark();
        await database.messages(deliveries / count, 1);
        for (const contender of ['bare', 'ours'] as const) {
          await withSlot(database, async (slot) => {
            const env = { ENDPOINTS: String(count), CONNECTIONS: '4' };
            // Connections are made, and the code is warm, before it is measured.
            const drained = await drain(bench.receiver, { contender, database, slot, endpoint: bench.receiver.url('/count'), env, profileDir: bench.profileOf(contender) }, deliveries, { from: deliveries / 2 });
            table.add(rowOf(contender, count), { 'deliveries/s': drained['events/s'], 'CPU µs/delivery': drained['CPU µs/event'], 'peak RSS MB': drained['peak RSS MB'] });
          });
        }
      });
    }
  }
  const ofOne = (contender: Contender): readonly number[] => table.ratio('CPU µs/delivery', rowOf(contender, 1_000), rowOf(contender, 1));
  return [
    {
      title: `(e) ${deliveries} deliveries to 1, 10, 100 and 1,000 endpoints`,
      about: `Four connections to each. The first half is not measured. The bare loop, which does nothing but send, needs ${median(ofOne('bare')).toFixed(2)} times as much for one of 1,000 endpoints as for the only one: that is what so many connections cost.`,
      rows: table.rows,
      goals: [
        { text: 'CPU per delivery with one endpoint', values: ofOne('ours'), atMost: 1.2 },
        { text: 'the same, beside that of the bare loop', values: ofOne('ours').map((ratio, round) => ratio / (ofOne('bare')[round] ?? Number.NaN)), atMost: 1.2 },
      ],
    },
  ];
}

/** (f) A dead and a hanging endpoint beside a healthy one. */
export async function faults(bench: Bench): Promise<readonly Section[]> {
  const count = bench.size(50_000, 10_000);
  const load = { count: bench.size(5_000, 3_000), perSecond: 1_000, channels: 10 };
  const table = new Table();
  const live = new Table();
  const healthy: Endpoint = { url: bench.receiver.url('/count') };
  const others: readonly Endpoint[] = [{ url: 'http://127.0.0.1:1/dead' }, { url: bench.receiver.url('/hang') }];
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const [name, endpoints] of [['alone', [healthy]], ['beside them', [healthy, ...others]]] as const) {
      await bench.stage.withDatabase(async (database) => {
        await database.register(endpoints);
        await database.mark();
        await database.messages(count, 1);
        const drained = await withSlot(database, async (slot) => drain(bench.receiver, { contender: 'ours', database, slot, endpoint: '', profileDir: bench.profileOf('ours') }, count));
        table.add(name, { 'events/s': drained['events/s'], 'CPU µs/event': drained['CPU µs/event'], 'peak RSS MB': drained['peak RSS MB'] });
      });
      await bench.stage.withDatabase(async (database) => {
        await database.register(endpoints);
        await database.mark();
        await withSlot(database, async (slot) => live.add(name, { ...(await steady(bench, 'ours', database, slot, load, 0)) }));
      });
    }
  }
  return [
    {
      title: `(f) The same, ${load.perSecond} commits a second`,
      about: 'From the return of the commit at its client to the request at the healthy endpoint.',
      rows: live.rows,
      goals: [
        { text: 'messages a second of the healthy one alone', values: live.ratio('arrived/s', 'beside them', 'alone'), atLeast: 0.9 },
        { text: 'p50 more than alone, in ms', values: live.values('beside them', 'p50 ms').map((p50, round) => p50 - (live.values('alone', 'p50 ms')[round] ?? Number.NaN)), atMost: 1 },
      ],
    },
    {
      title: '(f) A healthy endpoint beside one that refuses connections and one that never answers',
      about: `Draining ${count} one-row transactions as fast as it goes; what the other two do not take is written to the database meanwhile.`,
      rows: table.rows,
      goals: [{ text: 'throughput of the healthy one alone', values: table.ratio('events/s', 'beside them', 'alone'), atLeast: 0.9 }],
    },
  ];
}

/** (g) A million deliveries that wait for another endpoint. */
export async function parked(bench: Bench): Promise<readonly Section[]> {
  const waiting = bench.size(1_000_000, 100_000);
  const count = bench.size(50_000, 10_000);
  const table = new Table();
  await bench.stage.withDatabase(async (database) => {
    // The other one wants only deletions, so that nothing new waits for it.
    await database.register([{ url: bench.receiver.url('/count') }, { url: bench.receiver.url('/hang'), updateTypes: ['message_deleted'] }]);
    await database.mark();
    await database.messages(count, 1);
    const run = async (): Promise<Drained> => withSlot(database, async (slot) => drain(bench.receiver, { contender: 'ours', database, slot, endpoint: '', profileDir: bench.profileOf('ours') }, count));
    for (let round = 0; round < bench.rounds; round += 1) {
      await database.client.query('TRUNCATE slackchat_bridge.deliveries');
      table.add('none waits', { ...(await run()) });
      await database.client.query(
        `INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, attempts, first_attempt_at, last_attempt_at, next_attempt_at)
         SELECT w.id, 'waiting-' || i, 'message:' || i, '0/1', 0, 'c', '{"type":"update_notification"}', 1, now(), now(), now() + interval '1 day'
           FROM slackchat_bridge.webhooks w, generate_series(1, $1::int) i WHERE w.update_types IS NOT NULL`,
        [waiting],
      );
      await database.client.query('ANALYZE slackchat_bridge.deliveries');
      table.add(`${waiting} wait`, { ...(await run()) });
    }
  });
  return [
    {
      title: `(g) ${waiting} deliveries wait for another endpoint`,
      about: `Draining ${count} one-row transactions.`,
      rows: table.rows,
      goals: [{ text: 'CPU per event with none', values: table.ratio('CPU µs/event', `${waiting} wait`, 'none waits'), atMost: 1.1 }],
    },
  ];
}
