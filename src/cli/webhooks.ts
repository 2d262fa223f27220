import { Command, Option } from 'commander';
import { ConfigurationError, PreconditionError } from '../errors.js';
import { withoutQuery } from '../reports.js';
import { envFileOption } from './environment.js';
import { call, withDatabase } from './session.js';
import { print, printRows, toId } from './table.js';

interface Common {
  readonly envFile?: string;
}

interface AddOptions extends Common {
  readonly token?: string;
  readonly secret?: string;
  readonly chatType?: readonly string[];
  readonly updateType?: readonly string[];
  readonly ordering: string;
  readonly maxInFlight: string;
  readonly conflate?: true;
}

/** Whether there is a token or a secret, never which. */
const LIST = `
  SELECT w.id::text AS id, w.endpoint, w.enabled, w.verified, w.verified_at, w.chat_types, w.update_types, w.ordering, w.conflate, w.max_in_flight,
         w.token IS NOT NULL AS own_token, w.secret IS NOT NULL AS signed, w.source_id, w.deliver_from::text AS deliver_from,
         count(d.id) FILTER (WHERE d.status = 'waiting')::int AS waiting, count(d.id) FILTER (WHERE d.status = 'dead')::int AS dead,
         w.disabled_reason, w.last_error, w.last_error_at, w.created_at
    FROM slackchat_bridge.webhooks w LEFT JOIN slackchat_bridge.deliveries d ON d.webhook_id = w.id
   GROUP BY w.id ORDER BY w.id`;
const SHOWN = ['id', 'endpoint', 'enabled', 'verified', 'waiting', 'dead', 'disabled_reason', 'last_error'];

const ADD = `
  INSERT INTO slackchat_bridge.webhooks (endpoint, token, secret, chat_types, update_types, ordering, max_in_flight, conflate)
  VALUES ($1, $2, $3, $4::text[], $5::text[], $6, $7, $8) RETURNING id::text AS value`;

export function webhooksCommand(): Command {
  const command = new Command('webhooks').description('endpoints: add, list, verify, remove');
  command.addCommand(addCommand());
  command.addCommand(
    new Command('list')
      .description('the endpoints, and why nothing arrives')
      .option('--json', 'as JSON, with every column but token and secret')
      .addOption(envFileOption())
      .action(async ({ json, envFile }: Common & { readonly json?: boolean }) => {
        const rows = await withDatabase(envFile, async (client) => (await client.query<Record<string, unknown> & { readonly endpoint: string }>(LIST)).rows);
        // A query may hold a secret.
        const shown = rows.map((row) => ({ ...row, endpoint: withoutQuery(row.endpoint) }));
        printRows(shown, { json: json === true, columns: SHOWN, none: 'no webhooks are registered' });
      }),
  );
  command.addCommand(
    new Command('verify')
      .description('challenge an endpoint again; what is verified stays so until the challenge fails')
      .argument('<webhook id>', 'the id that webhooks list shows', toId)
      .addOption(envFileOption())
      .action(async (id: string, { envFile }: Common) => {
        await call(envFile, 'SELECT slackchat_bridge.verify($1::bigint) AS value', [id]);
        print(`requested: verification of webhook ${id}`);
      }),
  );
  command.addCommand(
    new Command('remove')
      .description('remove an endpoint with its waiting and dead deliveries')
      .argument('<webhook id>', 'the id that webhooks list shows', toId)
      .option('--yes', 'needed: what waits for the endpoint is lost')
      .addOption(envFileOption())
      .action(async (id: string, { yes, envFile }: Common & { readonly yes?: boolean }) => {
        if (yes !== true) throw new ConfigurationError(`this removes webhook ${id} with its waiting and dead deliveries; nothing was done: give --yes to do it`);
        const endpoint = await call(envFile, 'DELETE FROM slackchat_bridge.webhooks w WHERE w.id = $1 RETURNING w.endpoint AS value', [id]);
        if (endpoint === '') throw new PreconditionError(`there is no webhook ${id}`);
        print(`removed: webhook ${id}, ${withoutQuery(endpoint)}`);
      }),
  );
  return command;
}

function addCommand(): Command {
  const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  return new Command('add')
    .description('register an endpoint; a running bridge challenges it at once')
    .argument('<endpoint>', 'its http or https URL')
    .option('--token <token>', 'sent as "token" in place of WEBHOOK_VERIFICATION_TOKEN')
    .option('--secret <whsec>', 'sign with this secret, or with two separated by a space')
    .option('--chat-type <name>', 'only channels of this chat type; may be repeated (default: all)', collect)
    .option('--update-type <type>', 'only message_created, message_changed or message_deleted; may be repeated (default: all)', collect)
    .addOption(new Option('--ordering <unit>', 'keep commit order for each').choices(['message', 'channel']).default('message'))
    .option('--conflate', 'what waits about a message collapses into its net effect')
    .option('--max-in-flight <n>', 'requests at once, 1 to 1024', toId, '64')
    .addOption(envFileOption())
    .action(async (endpoint: string, options: AddOptions) => {
      const { token, secret, chatType, updateType, ordering, maxInFlight, conflate = false } = options;
      const id = await call(options.envFile, ADD, [endpoint, token ?? null, secret ?? null, chatType ?? null, updateType ?? null, ordering, maxInFlight, conflate]);
      print(`added: webhook ${id}, ${withoutQuery(endpoint)}`);
    });
}
