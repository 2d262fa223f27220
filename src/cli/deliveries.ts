import { Command, Option } from 'commander';
import { ConfigurationError } from '../errors.js';
import { envFileOption } from './environment.js';
import { call, withDatabase } from './session.js';
import { print, printRows, toId } from './table.js';

interface Common {
  readonly envFile?: string;
}

interface ListOptions extends Common {
  readonly json?: boolean;
  readonly webhook?: string;
  readonly status?: string;
  readonly limit: string;
}

const LIST = `
  SELECT d.id::text AS id, d.webhook_id::text AS webhook_id, d.notification_id, d.channel_id, d.message_id, d.update_type, d.lane, d.commit_lsn::text AS commit_lsn, d.seq, d.status, d.attempts,
         d.next_attempt_at, d.first_attempt_at, d.last_attempt_at, d.last_status, d.last_error, d.created_at, d.attempted, d.repeated, d.replay, d.yields
    FROM slackchat_bridge.deliveries d
   WHERE ($1::bigint IS NULL OR d.webhook_id = $1) AND ($2::text IS NULL OR d.status = $2)
   ORDER BY d.id LIMIT $3::bigint + 1`;
const SHOWN = ['id', 'webhook_id', 'channel_id', 'lane', 'status', 'attempts', 'next_attempt_at', 'last_status', 'last_error'];

export function deliveriesCommand(): Command {
  const command = new Command('deliveries').description('what waits for a retry and what is dead: list, retry, purge');
  command.addCommand(
    new Command('list')
      .description('waiting and dead deliveries, oldest first')
      .option('--webhook <id>', 'only of this endpoint', toId)
      .addOption(new Option('--status <status>', 'only these').choices(['waiting', 'dead']))
      .option('--limit <n>', 'so many at the most', toId, '100')
      .option('--json', 'as JSON, with every column but the body')
      .addOption(envFileOption())
      .action(list),
  );
  command.addCommand(
    new Command('retry')
      .description('send one delivery, waiting or dead, or all of an endpoint, as soon as its order allows')
      .argument('[delivery id]', 'the id that deliveries list shows', toId)
      .option('--webhook <id>', 'all of this endpoint', toId)
      .addOption(envFileOption())
      .action(async (id: string | undefined, { webhook, envFile }: Common & { readonly webhook?: string }) => {
        if ((id === undefined) === (webhook === undefined)) throw new ConfigurationError('deliveries retry: give the id of a delivery, or --webhook with that of an endpoint');
        if (webhook === undefined) {
          await call(envFile, 'SELECT slackchat_bridge.retry($1::bigint) AS value', [id]);
          print(`requested: retry of delivery ${id ?? ''}`);
        } else {
          const total = await call(envFile, 'SELECT slackchat_bridge.retry_all($1::bigint) AS value', [webhook]);
          print(`requested: retry of ${total} deliveries of webhook ${webhook}`);
        }
      }),
  );
  command.addCommand(
    new Command('purge')
      .description('remove dead deliveries whose last attempt is older')
      .argument('<older than>', "an interval of PostgreSQL, '30 days' say")
      .option('--yes', 'needed: what is removed cannot be sent any more')
      .addOption(envFileOption())
      .action(async (olderThan: string, { yes, envFile }: Common & { readonly yes?: boolean }) => {
        if (yes !== true) throw new ConfigurationError(`this removes dead deliveries older than ${olderThan}; nothing was done: give --yes to do it`);
        const total = await call(envFile, 'SELECT slackchat_bridge.purge($1::interval) AS value', [olderThan]);
        print(`removed: ${total} dead deliveries`);
      }),
  );
  return command;
}

async function list({ webhook, status, limit, json, envFile }: ListOptions): Promise<void> {
  const found = await withDatabase(envFile, async (client) => (await client.query<Record<string, unknown>>(LIST, [webhook ?? null, status ?? null, limit])).rows);
  const rows = found.slice(0, Number(limit));
  printRows(rows, { json: json === true, columns: SHOWN, none: 'no deliveries wait or are dead' });
  if (found.length > rows.length) process.stderr.write(`slackchat-bridge: only the first ${limit} are shown; --limit shows more\n`);
}
