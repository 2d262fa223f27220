import type { Bench } from '../bench.js';
import { Table, type Section } from '../measure.js';
import { drain, withSlot, type Contender, type Drained } from '../run.js';
import { TEXT } from '../stage.js';
import { withJobs } from './outbox.js';

/** (a) A backlog of new messages: everyone in turn, on the same WAL. */
export async function drains(bench: Bench): Promise<readonly Section[]> {
  const sections: Section[] = [];
  for (const perTransaction of [1, 100]) {
    const table = new Table();
    const count = bench.size(100_000, 20_000);
    await bench.stage.withDatabase(async (database) => {
      const endpoint = bench.receiver.url('/count');
      await database.register([{ url: endpoint }]);
      await database.mark();
      await database.messages(count, perTransaction);
      const run = async (contender: Contender, expect: number): Promise<void> => {
        const drained = await withSlot(database, async (slot) => drain(bench.receiver, { contender, database, slot, endpoint, profileDir: bench.profileOf(contender) }, expect));
        table.add(contender, { events: expect, ...drained });
      };
      for (let round = 0; round < bench.rounds; round += 1) {
        for (const contender of ['bare', 'contract', 'ours'] as const) await run(contender, count);
        if (bench.onlyOurs) continue;
        // They are slow: fewer will do.
        await run('naive', bench.size(5_000, 2_000));
        const jobs = bench.size(10_000, 4_000);
        table.add('outbox', { events: jobs, ...(await outbox(bench, jobs)) });
      }
    });
    sections.push({
      title: `(a) Draining ${count} new messages, ${perTransaction} in a transaction`,
      about: 'From the first request to the last.',
      rows: table.rows,
      goals: [
        { text: 'throughput of the bare loop', values: table.ratio('events/s', 'ours', 'bare'), atLeast: 0.8 },
        { text: 'CPU per event of the bare loop', values: table.ratio('CPU µs/event', 'ours', 'bare'), atMost: 1.3 },
        { text: 'CPU per event of the bare loop with the contract\'s headers', values: table.ratio('CPU µs/event', 'ours', 'contract'), atMost: 1.3 },
        { text: 'throughput of naive, receiver at 0 ms', values: table.ratio('events/s', 'ours', 'naive'), atLeast: 3 },
        { text: 'throughput of outbox', values: table.ratio('events/s', 'ours', 'outbox'), atLeast: 10 },
      ],
    });
  }
  return sections;
}

/** Its jobs are in a database of their own, because its triggers would slow the others' commits. */
async function outbox(bench: Bench, count: number): Promise<Drained> {
  return bench.stage.withDatabase(async (database) => {
    await withJobs(database);
    await database.messages(count, 1);
    await database.client.query('ANALYZE');
    return drain(bench.receiver, { contender: 'outbox', database, slot: '', endpoint: bench.receiver.url('/count') }, count);
  });
}

/** (b) Reactions on messages that are there: each event reads a message and its children. */
export async function reactions(bench: Bench): Promise<readonly Section[]> {
  const count = bench.size(30_000, 10_000);
  const table = new Table();
  await bench.stage.withDatabase(async (database) => {
    const endpoint = bench.receiver.url('/count');
    await database.register([{ url: endpoint }]);
    await database.messages(count, 1_000);
    await database.client.query('ANALYZE');
    const run = async (): Promise<Drained> => withSlot(database, async (slot) => drain(bench.receiver, { contender: 'ours', database, slot, endpoint, profileDir: bench.profileOf('ours') }, count));
    const created = async (): Promise<Drained> => {
      await database.mark();
      await database.messages(count, 1);
      return run();
    };
    for (let round = 0; round < bench.rounds; round += 1) {
      table.add('new messages', { ...(await created()) });
      await database.client.query('TRUNCATE slackchat_reaction');
      await database.mark();
      await database.reactions(1, count);
      table.add('reactions', { ...(await run()) });
    }
  });
  return [
    {
      title: `(b) Draining ${count} reactions, one in a transaction`,
      about: `Each on another message ("${TEXT}"), which is read with its children and told whole.`,
      rows: table.rows,
      goals: [{ text: 'throughput of new messages', values: table.ratio('events/s', 'reactions', 'new messages'), atLeast: 0.5 }],
    },
  ];
}

