import type { Bench } from '../bench.js';
import { Child } from '../child.js';
import { quantile, Table, type Section } from '../measure.js';
import { drain, startContender, unlessEnded, withSlot, type Contender } from '../run.js';
import type { BenchDatabase } from '../stage.js';
import { withJobs } from './outbox.js';

const WARM_UP = 1_000;

export interface Load {
  readonly count: number;
  readonly perSecond: number;
  readonly channels: number;
}

export interface Latency {
  readonly 'p50 ms': number;
  readonly 'p99 ms': number;
  readonly 'max ms': number;
  /** from the first commit to the last request */
  readonly 'arrived/s': number;
}

/** From the commit's return at its client to the request at the receiver. */
export async function steady(bench: Bench, contender: Contender, database: BenchDatabase, slot: string, load: Load, delayMs: number, env: Readonly<Record<string, string>> = {}): Promise<Latency> {
  const loader = new Child('bench/loader.ts');
  await loader.next('ready');
  const child = startContender({ contender, database, slot, endpoint: bench.receiver.url('/count'), env: { BODY: 'text', ...env }, profileDir: bench.profileOf(contender) });
  const run = async (count: number): Promise<{ readonly latencies: readonly number[]; readonly perSecond: number }> => {
    const { done } = await bench.receiver.expect(count, { note: true, delayMs });
    const returned = loader.next('returned');
    loader.send({ url: database.url, ...load, count });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the loader's own words
    const commits = (await returned) as readonly number[];
    const { arrivals } = await unlessEnded(child, done);
    const perSecond = (count * 1000) / (Math.max(...arrivals) - (commits[0] ?? 0));
    return { latencies: arrivals.map((at, index) => at - (commits[index] ?? at)), perSecond };
  };
  await run(WARM_UP);
  const { latencies, perSecond } = await run(load.count);
  await child.stop(bench.profileOf(contender) === undefined ? 'SIGKILL' : 'SIGTERM');
  await loader.stop();
  return { 'p50 ms': quantile(latencies, 0.5), 'p99 ms': quantile(latencies, 0.99), 'max ms': Math.max(...latencies), 'arrived/s': perSecond };
}

/** (c) A steady load. */
export async function latency(bench: Bench): Promise<readonly Section[]> {
  const load = { count: bench.size(5_000, 2_000), perSecond: 500, channels: 10 };
  const table = new Table();
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const contender of ['bare', 'visible', 'ours', 'naive', 'outbox'] as const) {
      if (bench.onlyOurs && (contender === 'naive' || contender === 'outbox')) continue;
      await bench.stage.withDatabase(async (database) => {
        if (contender === 'outbox') {
          await withJobs(database);
          table.add(contender, { ...(await steady(bench, contender, database, '', load, 0)) });
          return;
        }
        await database.register([{ url: bench.receiver.url('/count') }]);
        await database.mark();
        await withSlot(database, async (slot) => table.add(contender, { ...(await steady(bench, contender, database, slot, load, 0)) }));
      });
    }
  }
  return [
    {
      title: `(c) ${load.perSecond} commits a second`,
      about: 'From the return of the commit at its client to the request at the receiver. The bare loop sends what other sessions cannot see yet; **visible** is the bare loop with the one query that it takes to wait until they can, as the bridge does.',
      rows: table.rows,
      goals: [
        { text: 'p50 of the bare loop', values: table.ratio('p50 ms', 'ours', 'bare'), atMost: 1.3 },
        { text: 'p99 of the bare loop', values: table.ratio('p99 ms', 'ours', 'bare'), atMost: 2 },
        { text: 'p50 of the bare loop that waits until visible', values: table.ratio('p50 ms', 'ours', 'visible'), atMost: 1.3 },
        { text: 'p99 of the bare loop that waits until visible', values: table.ratio('p99 ms', 'ours', 'visible'), atMost: 2 },
      ],
    },
  ];
}

/** (d) Receivers that take their time. */
export async function receivers(bench: Bench): Promise<readonly Section[]> {
  const table = new Table();
  const busy = new Table();
  const endpoint = bench.receiver.url('/count');
  const load = { count: bench.size(5_000, 3_000), perSecond: 1_000, channels: 1 };
  for (let round = 0; round < bench.rounds; round += 1) {
    await bench.stage.withDatabase(async (database) => {
      await database.register([{ url: endpoint }]);
      await database.mark();
      await database.messages(10_000, 1);
      for (const delayMs of [0, 10, 50]) {
        const many = delayMs === 0 ? 10_000 : 3_000;
        // The slow one does fewer.
        const counts = { bare: many, ours: many, naive: delayMs === 0 ? 2_000 : 100 };
        for (const contender of ['bare', 'ours', 'naive'] as const) {
          const env = { CONNECTIONS: '64' };
          const drained = await withSlot(database, async (slot) => drain(bench.receiver, { contender, database, slot, endpoint, env }, counts[contender], { delayMs }));
          table.add(`${contender}, ${delayMs} ms`, { events: counts[contender], 'events/s': drained['events/s'], 'CPU µs/event': drained['CPU µs/event'] });
        }
      }
    });
    for (const inFlight of [64, 128]) {
      for (const contender of ['bare', 'ours'] as const) {
        await bench.stage.withDatabase(async (database) => {
          await database.register([{ url: endpoint, maxInFlight: inFlight }]);
          await database.mark();
          const env = { CONNECTIONS: String(inFlight) };
          await withSlot(database, async (slot) => busy.add(`${contender}, ${inFlight} at a time`, { ...(await steady(bench, contender, database, slot, load, 50, env)) }));
        });
      }
    }
  }
  return [
    {
      title: '(d) Receivers that take 0, 10 and 50 ms to answer',
      about: 'Draining one-row transactions; bare with 64 connections, as the bridge.',
      rows: table.rows,
      goals: [
        { text: 'throughput of naive at 0 ms', values: table.ratio('events/s', 'ours, 0 ms', 'naive, 0 ms'), atLeast: 3 },
        { text: 'throughput of naive at 50 ms', values: table.ratio('events/s', 'ours, 50 ms', 'naive, 50 ms'), atLeast: 50 },
        { text: 'throughput of bare at 50 ms', values: table.ratio('events/s', 'ours, 50 ms', 'bare, 50 ms'), atLeast: 0.8 },
      ],
    },
    {
      title: '(d) 1,000 messages a second in one channel, to one endpoint that takes 50 ms',
      about:
        'From the return of the commit to the request at the receiver: all of it is added, the receiver\'s own 50 ms come after. A thousand a second that take 50 ms are 50 at a time and a few more for the way there and back; ' +
        'with 64, the default of `max_in_flight`, a machine that is busy has no room left, and what is late stays late.',
      rows: busy.rows,
      goals: [{ text: 'p99 in ms, 128 at a time', values: busy.values('ours, 128 at a time', 'p99 ms'), atMost: 150 }],
    },
  ];
}
