import { Logger, run } from 'graphile-worker';
import pg from 'pg';
import { Pool } from 'undici';
import { z } from 'zod';

/** Triggers put a job for each message into graphile-worker's table; it sends them, in no order. */
const { URL: url = '', ENDPOINT: endpoint = '' } = process.env;
const CONCURRENCY = 32;
const { origin, pathname } = new URL(endpoint);
const pool = new Pool(origin, { connections: CONCURRENCY, pipelining: 1 });
const Payload = z.object({ timestamp: z.string(), text: z.string(), channel_id: z.string(), user_id: z.number() });

await run({
  pgPool: new pg.Pool({ connectionString: url, max: CONCURRENCY }),
  concurrency: CONCURRENCY,
  noHandleSignals: true,
  logger: new Logger(() => () => undefined),
  taskList: {
    webhook: async (payload) => {
      const { timestamp, text: content, channel_id: channel, user_id: user } = Payload.parse(payload);
      const body = JSON.stringify({ token: 'bench', type: 'update_notification', channel, update_type: 'message_created', message: { timestamp, user, content } });
      const answer = await pool.request({ path: pathname, method: 'POST', headers: { 'content-type': 'application/json' }, body });
      await answer.body.dump();
      if (answer.statusCode >= 300) throw new Error(`status ${answer.statusCode}`);
    },
  },
});
