import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench.js';
import { Table, type Section } from '../measure.js';
import { startContender, unlessEnded } from '../run.js';
import type { BenchDatabase } from '../stage.js';

const COUNTS = [1, 2, 4];
/** Before it is measured, so that every one is as warm. */
const WARM = 10_000;
/** USER_HZ, which is 100 wherever Linux runs. */
const TICKS_PER_SECOND = 100;

/**
 * (k) Instances that share the messages: what one of them keeps up with, and what its slot costs the server. One of them
 * runs at a time, because on a machine with few cores all at once would only show that.
 */
export async function shards(bench: Bench): Promise<readonly Section[]> {
  const table = new Table();
  const each = bench.size(30_000, 20_000);
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const shardCount of COUNTS) {
      await bench.stage.withDatabase(async (database) => {
        const endpoint = bench.receiver.url('/count');
        const shared = `${database.name}_shared`;
        const [slot = ''] = await database.share(shared, shardCount);
        await database.register([{ url: endpoint, maxInFlight: 64 * shardCount }]);
        const child = startContender({ contender: 'ours', database, slot: shared, endpoint, env: shardCount === 1 ? {} : { SHARD: `1/${shardCount}` } });
        const walsender = await streaming(database, slot);
        const count = each * shardCount;
        /** Commits so many, of which the instance delivers its share; it begins when all of them are there. */
        const work = async (messages: number): Promise<{ readonly own: number; readonly ms: number }> => {
          child.signal('SIGSTOP');
          const { rows: highest } = await database.client.query<{ id: string }>('SELECT coalesce(max(id), 0)::text AS id FROM slackchat_message');
          await database.messages(messages, 1);
          const { rows } = await database.client.query<{ own: number }>('SELECT count(*)::int AS own FROM slackchat_message WHERE id > $2 AND mod(hashint8(id) & 2147483647, $1) = 0', [shardCount, highest[0]?.id]);
          const own = rows[0]?.own ?? 0;
          const { done } = await bench.receiver.expect(own);
          const began = performance.now();
          child.signal('SIGCONT');
          await unlessEnded(child, done);
          return { own, ms: performance.now() - began };
        };
        await work(WARM * shardCount);
        const [before, served] = [await child.usage(), await cpuMs(walsender)];
        const { own, ms } = await work(count);
        const [after, serving] = [await child.usage(), await cpuMs(walsender)];
        table.add(shardCount === 1 ? 'without SHARD' : `1/${shardCount}`, {
          'committed/s': (count / ms) * 1000,
          'delivered/s': (own / ms) * 1000,
          'instance, CPU µs/delivery': ((after.cpuMs - before.cpuMs) / own) * 1000,
          'walsender, CPU µs/commit': ((serving - served) / count) * 1000,
          'peak RSS MB': after.peakMb,
        });
        await child.stop();
      });
    }
  }
  return [
    {
      title: `(k) One of n instances that share the messages, and ${each} times n new messages, 1 in a transaction`,
      about: 'committed/s is what it keeps up with of all that is committed, its share of it delivered. Every walsender decodes all of it.',
      rows: table.rows,
      goals: [],
    },
  ];
}

/** @returns the server's process, as soon as it streams */
async function streaming(database: BenchDatabase, slot: string): Promise<number> {
  for (;;) {
    const { rows } = await database.client.query<{ pid: number }>('SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL', [slot]);
    // Until the instance has found out which endpoints there are.
    await delay(rows[0] === undefined ? 20 : 2_000);
    if (rows[0] !== undefined) return rows[0].pid;
  }
}

/** User and system time of another process. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // After the name, which may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}
