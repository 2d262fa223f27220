import { Command, InvalidArgumentError } from 'commander';
import type pg from 'pg';
import { databaseConfig } from '../config.js';
import { ConfigurationError, errorCode, errorMessage, PreconditionError } from '../errors.js';
import { allOf, namesOf } from '../setup/names.js';
import { ReplayPages, type Asked, type Progress } from '../store/replay.js';
import { delay } from '../time.js';
import { environmentWith, envFileOption } from './environment.js';
import { inSession } from './session.js';
import { print, toId } from './table.js';

interface Options {
  readonly since: string;
  readonly until?: string;
  readonly channel?: readonly string[];
  readonly webhook?: readonly string[];
  readonly json?: boolean;
  readonly envFile?: string;
}

const POLL_MS = 50;
/** As other commands do. */
const SAY_FIRST_MS = 1_000;
const SAY_MS = 5_000;
const TIME = 'a time such as 2026-11-24T09:30:00Z or 2026-11-24 (without a zone: in TIME_ZONE), or how long ago: 90s, 30m, 2h, 3d';
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** A time that the calendar does not have, a key that is none, a zone that nobody knows. */
const WRONG_VALUES = new Set(['22007', '22008', '22009', '22023', '22P02']);

export function replayCommand(): Command {
  return new Command('replay')
    .description('tell messages once more, as they are now, whose rows say that they are not older than a time')
    .requiredOption('--since <time>', TIME, toTime)
    .option('--until <time>', 'none that are newer (default: the newest that there is at the begin)', toTime)
    .option('--channel <id>', 'only those of this channel; can be given several times', (id: string, before: readonly string[] = []) => [...before, id])
    .option('--webhook <id>', 'only to this endpoint, the id that webhooks list shows; can be given several times', (id: string, before: readonly string[] = []) => [...before, toId(id)])
    .option('--json', 'the result as JSON')
    .addOption(envFileOption())
    .addHelpText('after', '\nGoes on page by page, each once the bridge has delivered or stored the one before, behind live traffic. Broken off, it says how to go on, and ends with status 1.\nMessages that were deleted are not told; resync and request-update make receivers fetch whole channels.')
    .action(replay);
}

async function replay({ since, until, channel, webhook, json, envFile }: Options): Promise<void> {
  const asked: Asked = { since, until: until ?? null, channels: channel ?? null, webhooks: webhook ?? null };
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  let progress: Progress = { messages: 0, since, until: asked.until, next: since };
  try {
    const config = databaseConfig(environmentWith(envFile));
    await inSession(envFile, async (client) => {
      await prepare(client, config.environment['TIME_ZONE'] ?? '');
      const pages = new ReplayPages(client, (count) => allOf(namesOf(config), count).map(({ slot }) => slot), asked);
      for (const line of await pages.deaf()) say(line);
      do {
        progress = await pages.ask();
        await told(pages, progress, stop.signal);
      } while (progress.next !== null && !stop.signal.aborted);
    });
  } catch (error) {
    if (WRONG_VALUES.has(errorCode(error) ?? '')) throw new ConfigurationError(errorMessage(error));
    if (progress.messages > 0) sayHowToGoOn(progress, asked);
    throw error;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
  if (json === true) print(JSON.stringify({ messages: progress.messages, since: progress.since, until: progress.until, goOnSince: progress.next }));
  else print(`replayed: ${progress.messages} ${progress.messages === 1 ? 'message' : 'messages'} from ${progress.since} to ${progress.until ?? ''}`);
  if (progress.next === null) return;
  sayHowToGoOn(progress, asked);
  throw new PreconditionError('broken off');
}

/** A page may look at many rows, and times without a zone are the application's. */
async function prepare(client: pg.Client, timeZone: string): Promise<void> {
  await client.query("SELECT set_config('statement_timeout', '0', false), set_config('TimeZone', $1, false)", [timeZone === '' ? 'UTC' : timeZone]);
}

/** Until the page is told, or the signal. */
async function told(pages: ReplayPages, { messages, next, until }: Progress, signal: AbortSignal): Promise<void> {
  const began = Date.now();
  let sayAt = began + SAY_FIRST_MS;
  for (let waitsFor = await pages.waitsFor(); waitsFor !== null && !signal.aborted; waitsFor = await pages.waitsFor()) {
    if (Date.now() >= sayAt) {
      say(`${messages} messages asked for, up to ${next ?? until ?? ''}; ${waitsFor} … ${Math.round((Date.now() - began) / 1000)} s`);
      sayAt = Date.now() + SAY_MS;
    }
    await delay(POLL_MS, signal);
  }
}

function sayHowToGoOn({ next, until }: Progress, { channels, webhooks }: Asked): void {
  const rest = [...(channels ?? []).map((id) => `--channel ${id}`), ...(webhooks ?? []).map((id) => `--webhook ${id}`)];
  say(`to go on: slackchat-bridge replay ${[`--since ${next ?? ''}`, ...(until === null ? [] : [`--until ${until}`]), ...rest].join(' ')}`);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function toTime(text: string): string {
  const [, count, unit] = /^(\d{1,6})([smhd])$/u.exec(text) ?? [];
  if (unit !== undefined) return new Date(Date.now() - Number(count) * (UNITS[unit] ?? 0)).toISOString();
  if (!/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?$/u.test(text)) throw new InvalidArgumentError(`accepted: ${TIME}`);
  return text;
}
