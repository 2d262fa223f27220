import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench.js';
import type { Child } from '../child.js';
import { Table, type Section } from '../measure.js';
import { startContender, unlessEnded } from '../run.js';
import type { BenchDatabase } from '../stage.js';

const COUNTS = [1, 2, 4];
/** USER_HZ, which is 100 wherever Linux runs. */
const TICKS_PER_SECOND = 100;

/** (k) Instances that share the messages: what they do together, and what each costs itself and the server. */
export async function shards(bench: Bench): Promise<readonly Section[]> {
  const table = new Table();
  const count = bench.size(200_000, 40_000);
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const shardCount of COUNTS) {
      await bench.stage.withDatabase(async (database) => {
        const endpoint = bench.receiver.url('/count');
        const slot = `${database.name}_shared`;
        const slots = await database.share(slot, shardCount);
        await database.register([{ url: endpoint, maxInFlight: 64 * shardCount }]);
        const children = slots.map((_name, index) => startContender({ contender: 'ours', database, slot, endpoint, env: shardCount === 1 ? {} : { SHARD: `${index + 1}/${shardCount}` } }));
        const walsenders = await streaming(database, slots);
        const before = await Promise.all(children.map(async (child) => child.usage()));
        const served = await Promise.all(walsenders.map(cpuMs));
        // All of them begin at once, on all of it.
        for (const child of children) child.signal('SIGSTOP');
        await database.messages(count, 1);
        const { done } = await bench.receiver.expect(count);
        for (const child of children) child.signal('SIGCONT');
        const { ms } = await unlessOneEnded(children, done);
        const after = await Promise.all(children.map(async (child) => child.usage()));
        const serving = (await Promise.all(walsenders.map(cpuMs))).map((now, index) => now - (served[index] ?? 0));
        const own = after.reduce((sum, usage, index) => sum + usage.cpuMs - (before[index]?.cpuMs ?? 0), 0);
        table.add(shardCount === 1 ? 'one instance' : `${shardCount} shards`, {
          'events/s': (count / ms) * 1000,
          'instances, CPU µs/event': (own / count) * 1000,
          'each walsender, CPU µs/event': (serving.reduce((sum, one) => sum + one, 0) / shardCount / count) * 1000,
          'all walsenders, CPU µs/event': (serving.reduce((sum, one) => sum + one, 0) / count) * 1000,
          'each, peak RSS MB': Math.max(...after.map(({ peakMb }) => peakMb)),
        });
        await Promise.all(children.map(async (child) => child.stop()));
      });
    }
  }
  return [
    {
      title: `(k) ${count} new messages, 1 in a transaction, shared by several instances`,
      about: 'CPU per event of all that was committed: every walsender decodes all of it, whatever its share is. The machine has too few cores for all of them at once, so events/s says little here, and CPU what more cores would give.',
      rows: table.rows,
      goals: [],
    },
  ];
}

/** @returns the server's processes, as soon as all of them stream */
async function streaming(database: BenchDatabase, slots: readonly string[]): Promise<readonly number[]> {
  for (;;) {
    const { rows } = await database.client.query<{ pid: number }>('SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = ANY ($1) AND active_pid IS NOT NULL', [slots]);
    if (rows.length === slots.length) {
      // Until each of them has found out which endpoints there are.
      await delay(2_000);
      return rows.map(({ pid }) => pid);
    }
    await delay(20);
  }
}

/** User and system time of another process. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // After the name, which may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

async function unlessOneEnded<T>(children: readonly Child[], promise: Promise<T>): Promise<T> {
  return Promise.race(children.map(async (child) => unlessEnded(child, promise)));
}
