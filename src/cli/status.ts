import { Command } from 'commander';
import { z } from 'zod';
import { statusConfig, type StatusConfig } from '../config.js';
import { megabytes } from '../doctor/check.js';
import { ConfigurationError, errorMessage, PreconditionError } from '../errors.js';
import { allOf, namesOf } from '../setup/names.js';
import { viewEndpoint, type EndpointRow, type EndpointView, type SlotRow } from '../status.js';
import { Overview } from '../store/overview.js';
import { environmentWith, envFileOption } from './environment.js';
import { withProgress } from './progress.js';
import { withDatabase } from './session.js';
import { print, table, toUrl } from './table.js';

interface Options {
  readonly json?: boolean;
  readonly admin?: string;
  readonly envFile?: string;
}

const LIMIT = 1_000;
const TIMEOUT_MS = 3_000;
const SHOWN = ['id', 'endpoint', 'state', 'waiting', 'dead', 'in_flight', 'next_attempt', 'last_success', 'failing_since', 'why'];

const instant = z.string().nullable().default(null);
/** As far as it is used here; a bridge of another version may say more or less. */
const answer = z.looseObject({
  state: z.string(),
  slot: z.string().nullable().default(null),
  shard: z.string().nullable().default(null),
  reason: z.string().nullable().default(null),
  since: z.string().default(''),
  version: z.string().default('unknown'),
  lagSeconds: z.number().nullable().default(null),
  endpoints: z.array(
    z.looseObject({
      id: z.string(), endpoint: z.string(), enabled: z.boolean(), verified: z.boolean(), verifying: z.boolean().default(false), failing: z.boolean(), inFlight: z.number(), queued: z.number(),
      waiting: z.number().default(0), dead: z.number().default(0), lastSuccessAt: instant, failingSince: instant, nextProbeAt: instant,
    }),
  ).default([]),
});
type Answer = z.infer<typeof answer>;

interface Process {
  readonly url: string | null;
  readonly status: Answer | null;
  /** why there is none */
  readonly fault: string | null;
}

interface Slot extends Partial<SlotRow> {
  readonly name: string;
}

interface Database {
  /** as SHARD says; with nothing but a name: there is none */
  readonly slot: Slot;
  /** of all that share the messages */
  readonly slots: readonly Slot[];
  readonly endpoints: readonly EndpointRow[];
  readonly fault: string | null;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('endpoints, lag, waiting and dead deliveries: from the database, and from the running process where its admin port answers')
    .option('--json', 'as JSON')
    .option('--admin <url>', 'where the process answers (default: from ADMIN_HOST and ADMIN_PORT)', toUrl)
    .addOption(envFileOption())
    .addHelpText('after', '\nWhere several instances share the messages (SHARD), the slots of all of them, and what is in memory and under way of the one that is asked (--admin).\nTells; it does not judge: doctor does. Status 1 only when the database does not answer.')
    .action(async (options: Options) => {
      const config = statusConfig(environmentWith(options.envFile));
      const [database, process] = await Promise.all([ask(config, options.envFile), withProgress('asking the bridge', askProcess(options.admin ?? adminUrl(config), config.ADMIN_TOKEN))]);
      const live = new Map(process.status?.endpoints.map((endpoint) => [endpoint.id, endpoint]));
      const endpoints = database.endpoints.map((row) => viewEndpoint(row, live.get(row.id) ?? null));
      if (options.json === true) print(JSON.stringify({ bridge: process, slot: database.slot, slots: database.slots, endpoints, databaseFault: database.fault }, null, 2));
      else tell(process, database, endpoints);
      if (database.fault !== null) throw new PreconditionError(`the database does not answer: ${database.fault}`);
    });
}

async function ask(config: StatusConfig, envFile: string | undefined): Promise<Database> {
  const names = namesOf(config);
  try {
    return await withDatabase(envFile, async (client) => {
      const overview = new Overview(client);
      const slot = await slotOf(overview, names.slot);
      const slots: Slot[] = [];
      for (const { slot: name } of allOf(names, await overview.shards())) slots.push(name === slot.name ? slot : await slotOf(overview, name));
      return { slot, slots, endpoints: await overview.endpoints(LIMIT), fault: null };
    });
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    return { slot: { name: names.slot }, slots: [], endpoints: [], fault: errorMessage(error) };
  }
}

async function slotOf(overview: Overview, name: string): Promise<Slot> {
  return { name, ...(await overview.slot(name)) };
}

async function askProcess(url: string | null, token: string | undefined): Promise<Process> {
  if (url === null) return { url, status: null, fault: 'not asked: ADMIN_PORT does not say where it answers' };
  const failed = (fault: string): Process => ({ url, status: null, fault });
  try {
    const response = await fetch(new URL('/api/status', url), { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error', headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
    if (response.status === 401) return failed('it wants the ADMIN_TOKEN');
    if (!response.ok) return failed(`it answered ${response.status}`);
    const parsed = answer.safeParse(await response.json());
    return parsed.success ? { url, status: parsed.data, fault: null } : failed('what answers there is no bridge');
  } catch (error) {
    return failed(error instanceof Error && error.cause !== undefined ? errorMessage(error.cause) : errorMessage(error));
  }
}

/** One that listens on every address is asked on this machine's own. */
function adminUrl({ ADMIN_HOST, ADMIN_PORT }: StatusConfig): string | null {
  if (ADMIN_PORT === null || ADMIN_PORT === 0) return null;
  const host = ADMIN_HOST === '0.0.0.0' ? '127.0.0.1' : ADMIN_HOST === '::' ? '::1' : ADMIN_HOST;
  return `http://${host.includes(':') ? `[${host}]` : host}:${ADMIN_PORT}`;
}

function tell({ url, status, fault }: Process, database: Database, endpoints: readonly EndpointView[]): void {
  print(status === null ? `bridge      not known: ${fault ?? ''}${url === null ? '' : ` (${url})`}` : `bridge      ${status.state}${status.shard === null ? '' : `, shard ${status.shard}`}${status.reason === null || status.reason === status.state ? '' : `, not ready: ${status.reason}`}, since ${seconds(status.since)}, version ${status.version} (${url ?? ''})`);
  if (database.fault !== null) return;
  for (const slot of database.slots) print(`slot        ${slot.name}: ${slotWords(slot, status?.slot === slot.name ? status.lagSeconds : null)}`);
  const sum = (of: 'waiting' | 'dead'): number => endpoints.reduce((total, endpoint) => total + endpoint[of], 0);
  print(`deliveries  ${sum('waiting')} waiting, ${sum('dead')} dead`);
  print('');
  const rows = endpoints.map((endpoint) => ({
    ...endpoint, in_flight: endpoint.inFlight, next_attempt: seconds(endpoint.nextAttemptAt), last_success: seconds(endpoint.lastSuccessAt), failing_since: seconds(endpoint.failingSince),
  }));
  print(rows.length === 0 ? 'no webhooks are registered' : table(SHOWN, rows));
}

function slotWords({ active, lagBytes, keptBytes, walStatus, safeBytes = null }: Slot, lagSeconds: number | null): string {
  if (active === undefined) return 'there is none: slackchat-bridge setup makes it';
  const behind = `${megabytes(lagBytes ?? 0)}${lagSeconds === null ? '' : ` and ${Math.round(lagSeconds)} s`} behind`;
  const left = safeBytes === null ? '' : `, ${megabytes(Math.max(0, safeBytes))} until it is lost`;
  return `${active ? 'in use' : 'not in use'}, ${behind}, ${megabytes(keptBytes ?? 0)} of WAL kept, wal_status ${walStatus ?? 'unknown'}${left}`;
}

function seconds(time: string | null): string | null {
  return time === null ? null : time.replace(/\.\d+Z$/u, 'Z');
}
