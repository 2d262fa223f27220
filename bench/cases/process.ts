import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench.js';
import { Table, type Section } from '../measure.js';
import { drain, startContender, unlessEnded, withSlot } from '../run.js';
import type { BenchDatabase } from '../stage.js';

/** (h) One very large transaction. */
export async function large(bench: Bench): Promise<readonly Section[]> {
  const rows = bench.size(500_000, 100_000);
  const table = new Table();
  await bench.stage.withDatabase(async (database) => {
    const endpoint = bench.receiver.url('/count');
    await database.register([{ url: endpoint }]);
    await database.mark();
    await database.messages(rows, rows);
    for (let round = 0; round < bench.rounds; round += 1) {
      await withSlot(database, async (slot) => table.add('ours', { ...(await drain(bench.receiver, { contender: 'ours', database, slot, endpoint, profileDir: bench.profileOf('ours') }, rows)) }));
    }
  });
  return [
    {
      title: `(h) One transaction of ${rows} rows`,
      about: 'It comes in parts, and nothing of it is confirmed before all of it is delivered.',
      rows: table.rows,
      goals: [{ text: 'peak RSS in MB', values: table.values('ours', 'peak RSS MB'), atMost: 200 }],
    },
  ];
}

interface Written {
  readonly rows: number;
  readonly wal: number;
}

async function written(database: BenchDatabase): Promise<Written> {
  // Sessions tell their statistics a second after they changed.
  await delay(2_500);
  await database.client.query('SELECT pg_stat_force_next_flush()');
  const { rows } = await database.client.query<{ rows: string; wal: string }>(
    `SELECT tup_inserted + tup_updated + tup_deleted AS rows, pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal FROM pg_stat_database WHERE datname = current_database()`,
  );
  return { rows: Number(rows[0]?.rows), wal: Number(rows[0]?.wal) };
}

/** (i) Nothing to do, and the happy path: what the database is made to write. */
export async function idle(bench: Bench): Promise<readonly Section[]> {
  const seconds = bench.size(20, 10);
  const count = bench.size(20_000, 5_000);
  const table = new Table();
  for (let round = 0; round < bench.rounds; round += 1) {
    await bench.stage.withDatabase(async (database) => {
      const endpoint = bench.receiver.url('/count');
      await database.register([{ url: endpoint }]);
      for (const deliveries of [1, count]) {
        await database.mark();
        await database.messages(deliveries, 1);
        // Otherwise the first reads write: they leave hints in rows that were just made, which checksums make WAL of.
        await database.client.query('VACUUM');
        await withSlot(database, async (slot) => {
          const { done } = await bench.receiver.expect(deliveries);
          const before = await written(database);
          const child = startContender({ contender: 'ours', database, slot, endpoint });
          await unlessEnded(child, done);
          const delivered = await written(database);
          const began = await child.usage();
          await delay(seconds * 1000);
          const ended = await child.usage();
          const after = await written(database);
          table.add(deliveries === 1 ? '1 delivery' : `${deliveries} deliveries`, {
            'rows written, start and deliveries': delivered.rows - before.rows,
            'WAL bytes, start and deliveries': delivered.wal - before.wal,
            'rows written, idle': after.rows - delivered.rows,
            'WAL bytes, idle': after.wal - delivered.wal,
            'CPU %, idle': (ended.cpuMs - began.cpuMs) / seconds / 10,
          });
          await child.stop();
        });
      }
    });
  }
  const many = `${count} deliveries`;
  // A session tells its statistics when it likes, at times only in the idle time.
  const rowsOf = (name: string): readonly number[] =>
    table.values(name, 'rows written, start and deliveries').map((rows, round) => rows + (table.values(name, 'rows written, idle')[round] ?? 0));
  const starts = rowsOf('1 delivery');
  return [
    {
      title: `(i) The start, deliveries that succeed, then ${seconds} s without work`,
      about: 'Rows by pg_stat_database. At its start the bridge notes that it leads: that row is in both. WAL that a quiet server writes by itself (a record of running transactions every 15 s, 50 to 100 bytes) is in it.',
      rows: table.rows,
      goals: [
        { text: 'CPU, % of a core', values: table.values(many, 'CPU %, idle'), atMost: 1 },
        { text: `rows written for ${count - 1} deliveries more`, values: rowsOf(many).map((rows, round) => rows - (starts[round] ?? 0)), atMost: 0 },
      ],
    },
  ];
}

/** (j) From the start of the process to the first delivery of what waits. */
export async function start(bench: Bench): Promise<readonly Section[]> {
  const table = new Table();
  await bench.stage.withDatabase(async (database) => {
    const endpoint = bench.receiver.url('/count');
    await database.register([{ url: endpoint }]);
    await database.mark();
    await database.messages(1, 1);
    for (let round = 0; round < bench.rounds; round += 1) {
      await withSlot(database, async (slot) => {
        const { done } = await bench.receiver.expect(1);
        const began = performance.now();
        const child = startContender({ contender: 'ours', database, slot, endpoint, plain: true });
        await unlessEnded(child, done);
        table.add('ours', { ms: performance.now() - began });
        await child.stop();
      });
    }
  });
  return [{ title: '(j) From the start of the process to the first delivery', about: '', rows: table.rows, goals: [{ text: 'ms', values: table.values('ours', 'ms'), atMost: 1_000 }] }];
}
