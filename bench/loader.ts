import pg from 'pg';

/**
 * Commits messages at a steady rate and notes when each commit returned. In a process of its own, so
 * that the clock is not held up by what is measured; the clock is the machine's, the same everywhere.
 */
interface Order {
  readonly url: string;
  readonly count: number;
  readonly perSecond: number;
  readonly channels: number;
}

const SESSIONS = 4;
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

async function load({ url, count, perSecond, channels }: Order): Promise<number[]> {
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      return client;
    }),
  );
  const returned = Array.from({ length: count }, () => 0);
  const began = now();
  const text = 'SELECT bench_message($1, $2)';
  let next = 0;
  await Promise.all(
    sessions.map(async (session) => {
      for (let index = next++; index < count; index = next++) {
        const wait = began + (index * 1000) / perSecond - now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        await session.query({ name: 'load', text, values: [`#${index}# A message as people write them, some words long.`, channels] });
        returned[index] = now();
      }
    }),
  );
  await Promise.all(sessions.map(async (session) => session.end()));
  return returned;
}

process.on('message', (message: Order) => {
  if (typeof message !== 'object') return;
  load(message).then(
    (returned) => process.send?.({ returned }),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
// Between two loads nothing else keeps it alive.
process.channel?.ref();
process.send?.({ ready: true });
