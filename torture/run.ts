import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WEIGHTS } from './deeds.js';
import { Torturer, type Struck } from './faults.js';
import { childToken, type History } from './history.js';
import type { Violation } from './invariants.js';
import { judge } from './judge.js';
import { Random } from './random.js';
import { settle, stopBridges } from './settle.js';
import { Stage, type Endpoint } from './stage.js';
import { story } from './story.js';
import { Workload, type Attempted } from './workload.js';

/** Longer than any retry, request and take-over takes here. */
const STUCK_MS = 45_000;
const STORIES = 4;

export interface RunOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly sessions: number;
  /** faults with such names; null: all */
  readonly only: RegExp | null;
  readonly signal: AbortSignal;
}

export interface Result {
  readonly seed: number;
  readonly seconds: number;
  readonly settledMs: number;
  readonly figures: Readonly<Record<string, string>>;
  readonly struck: Readonly<Record<string, number>>;
  /** what does not hold, a line each */
  readonly faults: readonly string[];
  readonly stories: readonly string[];
  readonly logFile: string;
  readonly removeLogs: () => Promise<void>;
  /** Writes down beside the log what was committed, what came and what struck. */
  readonly save: () => Promise<void>;
}

export async function runTorture({ seconds, seed, sessions, only, signal }: RunOptions): Promise<Result> {
  const random = new Random(String(seed));
  const stage = await Stage.open(random.fork('stage'), signal);
  try {
    const { world } = stage;
    world.onVerify = (webhookId) => {
      const endpoint = stage.endpoints.find((one) => one.webhookId === webhookId);
      if (endpoint !== undefined) stage.declare(endpoint);
    };
    const workload = new Workload({ url: stage.server.url(), sessions, random: random.fork('workload'), world, weights: WEIGHTS, pauseMs: 150 });
    const torturer = new Torturer(stage, random.fork('faults'), only);
    workload.start();
    torturer.start();
    await sleep(seconds * 1000, undefined, { signal }).catch(() => undefined);
    await Promise.all([workload.stop(), torturer.stop()]);
    const settling = performance.now();
    const unsettled = await settle(stage, STUCK_MS);
    const settledMs = performance.now() - settling;
    const ended = await stopBridges(stage);
    await stage.catchUp();
    const history = stage.chronicler.finish();
    const all = stage.endpoints.flatMap((endpoint) => judgeEndpoint(stage, endpoint, history).map((violation) => ({ endpoint, violation })));
    // As long as something waits, what has not come may still come: that it waits is what is wrong.
    const found = unsettled.length === 0 ? all : all.filter(({ violation: { rule } }) => rule !== 'missing' && rule !== 'not the last state');
    const faults = [
      ...tally(found.map(({ violation }) => violation.rule)),
      ...unsettled,
      ...ended,
      ...(await differsFromDatabase(stage, history)),
      ...outcomes(workload.attempted, history),
      ...stage.endpoints.flatMap(untrusted),
      ...found.map(({ endpoint, violation }) => `${violation.rule} at ${endpoint.name}: ${violation.key ?? 'nothing that was committed'}; ${violation.detail}`),
    ];
    return {
      seed, seconds, settledMs, faults,
      figures: figuresOf(stage, workload, history),
      struck: countStruck(torturer.struck),
      stories: oneOfEach(found).slice(0, STORIES).map(({ endpoint, violation }) => story(violation, endpoint.name, endpoint.receiver.requests, history, torturer.struck)),
      logFile: stage.logFile,
      removeLogs: () => stage.removeLogs(),
      save: () => save(dirname(stage.logFile), stage, history, torturer.struck),
    };
  } finally {
    await stage.close();
  }
}

async function save(folder: string, stage: Stage, history: History, struck: readonly Struck[]): Promise<void> {
  const lines = (list: readonly unknown[]): string => list.map((one) => `${JSON.stringify(one, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString(16).toUpperCase() : value))}\n`).join('');
  await writeFile(join(folder, 'commits.jsonl'), lines(history.commits.map((commit, index) => ({ commit: index, end: commit.end, xid: commit.xid, time: new Date(commit.time), requests: commit.requests, writes: commit.writes.map(({ op, table, after, before }) => `${op} ${table} ${(after ?? before)?.['id'] ?? ''}`) }))));
  await writeFile(join(folder, 'received.jsonl'), lines(stage.endpoints.flatMap(({ receiver }) => receiver.requests).sort((a, b) => a.at - b.at).map((request) => ({ ...request, time: new Date(request.time) }))));
  await writeFile(join(folder, 'faults.jsonl'), lines(struck.map((one) => ({ ...one, from: new Date(one.from), to: one.to === null ? null : new Date(one.to) }))));
}

function oneOfEach<T extends { readonly endpoint: Endpoint; readonly violation: Violation }>(found: readonly T[]): readonly T[] {
  return [...new Map(found.toReversed().map((one) => [`${one.violation.rule} ${one.endpoint.name}`, one])).values()].toReversed();
}

function tally(rules: readonly string[]): readonly string[] {
  return [...new Set(rules)].map((rule) => `${rule}: ${rules.filter((one) => one === rule).length}`);
}

function judgeEndpoint(stage: Stage, { name, webhookId, columns, outages, receiver }: Endpoint, history: History): readonly Violation[] {
  const list = (column: string): readonly string[] | null => (Array.isArray(columns[column]) ? columns[column].map(String) : null);
  const ordering = columns['ordering'] === 'channel' ? 'channel' : 'message';
  return judge(history, { name, webhookId, ordering, chatTypes: list('chat_types'), updateTypes: list('update_types'), conflate: columns['conflate'] === true, outages, requests: receiver.requests }, stage.lostSlots);
}

/** What the journal says was committed must be what is in the database, or nothing that is said of it here counts. */
async function differsFromDatabase(stage: Stage, history: History): Promise<readonly string[]> {
  const messages = await stage.pool.query<Record<string, string>>('SELECT id::text, channel_id::text, user_id::text, text FROM slackchat_message');
  const children = new Map<string, string[]>();
  for (const [table, columns] of [['attachment', 'title'], ['keywordargument', 'key, value'], ['reaction', 'reaction, argument_id::text, (SELECT name FROM slackchat_argument a WHERE a.id = argument_id)']] as const) {
    const { rows } = await stage.pool.query<Record<string, string | null>>(`SELECT message_id::text, ${columns} FROM slackchat_${table}`);
    for (const row of rows) {
      const id = row['message_id'] ?? '';
      children.set(id, [...(children.get(id) ?? []), childToken(table, row, row['name'] ?? '')]);
    }
  }
  const actual = new Map(messages.rows.map((row) => [row['id'] ?? '', [row['channel_id'], row['user_id'], row['text'], ...(children.get(row['id'] ?? '') ?? []).sort()].join('\n')]));
  const ids = new Set([...actual.keys(), ...history.final.keys()]);
  return [...ids].filter((id) => actual.get(id) !== history.final.get(id)).map((id) => `message ${id} is not in the database as the journal has it: this run's own fault`);
}

/** What a session knows of its transaction, and what became of it. */
function outcomes(attempted: readonly Attempted[], history: History): readonly string[] {
  return attempted.flatMap(({ ledgerId, deed, outcome }) => {
    const committed = history.ledger.has(ledgerId);
    return (outcome === 'committed' && !committed) || (outcome === 'rolled back' && committed) ? [`transaction ${ledgerId} (${deed}) was ${outcome}, but the journal says otherwise: this run's own fault`] : [];
  });
}

/** Nothing goes to an address that has not echoed a challenge. */
function untrusted({ name, receiver }: Endpoint): readonly string[] {
  return receiver.requests.filter(({ path, at }) => (receiver.trusted.get(path) ?? Number.POSITIVE_INFINITY) > at).map(({ path, id }) => `${id} went to ${name} at ${path}, which had not echoed a challenge`);
}

function figuresOf(stage: Stage, { attempted }: Workload, history: History): Readonly<Record<string, string>> {
  const requests = stage.endpoints.map(({ receiver }) => receiver.requests);
  const total = requests.reduce((sum, list) => sum + list.length, 0);
  const taken = requests.reduce((sum, list) => sum + list.filter(({ answeredAt }) => answeredAt !== null).length, 0);
  const distinct = requests.reduce((sum, list) => sum + new Set(list.map(({ id }) => id)).size, 0);
  const outcome = (of: Attempted['outcome']): number => attempted.filter((one) => one.outcome === of).length;
  const writes = history.commits.reduce((sum, commit) => sum + commit.writes.filter(({ table }) => table !== 'ledger' && table !== 'webhooks').length, 0);
  return {
    commits: `${history.ledger.size} of ${attempted.length} transactions (${outcome('rolled back')} rolled back, ${outcome('unknown')} broken off in COMMIT), ${writes} rows, ${history.events.length} notifications`,
    requests: `${total} came, ${taken} were taken, ${total - distinct} repeats`,
    processes: `${stage.bridges.all.length} bridges`,
  };
}

function countStruck(struck: readonly Struck[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { name, outcome } of struck) {
    const key = outcome === 'struck' ? name : `(${name}: ${outcome})`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
