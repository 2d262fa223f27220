import type { PostgresServer } from '../src/demo/postgres.js';
import { AppWebhooks } from './challenges.js';
import { endpointsOf, mirrors, recordedOrigin } from './endpoints.js';
import { ask, placeOf, requestsOf } from './explicit.js';
import { summarize, summarizeRecorded } from './journal.js';
import { field, text } from './json.js';
import { Rows } from './rows.js';
import type { Finding } from './rules.js';
import type { Scenario, Step } from './scenario.js';
import { Stage } from './stage.js';
import { judgeStep } from './step.js';

export interface Result {
  readonly name: string;
  readonly steps: number;
  /** notifications */
  readonly theirs: number;
  readonly ours: number;
  readonly findings: readonly Finding[];
}

export interface Ground {
  readonly server: PostgresServer;
  /** the database with the application's tables that others are copied from */
  readonly template: string;
  /** of the bridge, beside those of the scenario */
  readonly settings: Readonly<Record<string, string>>;
}

const TABLES = new Set(['chattype', 'user', 'channel', 'argument', 'customcontenttemplate', 'message', 'reaction', 'attachment', 'keywordargument', 'webhook']);

/** Plays one recorded run against the real bridge, step by step. */
export async function runScenario(scenario: Scenario, { server, template, settings: more }: Ground): Promise<Result> {
  const token = scenario.steps.flatMap(({ posted }) => posted.flatMap(({ body }) => text(field(body, 'token')) ?? []))[0] ?? 'slackchat';
  const settings = { TIME_ZONE: scenario.time_zone, MEDIA_URL: scenario.media_url, WEBHOOK_VERIFICATION_TOKEN: token, ...more };
  const recorded = recordedOrigin(scenario);
  const mirrored = mirrors(scenario) ? recorded : null;
  const stage = await Stage.open({ server, template, initialSql: scenario.initial_sql, mirrored, settings });
  try {
    const rows = new Rows(scenario.time_zone);
    await rows.load(stage.client);
    const webhooks = mirrored === null ? null : new AppWebhooks();
    await webhooks?.load(stage.client);
    const findings: Finding[] = [];
    const origin = mirrored === null ? recorded : stage.receiver.origin;
    let ours = 0;
    for (const step of scenario.steps) {
      const { arrivals, findings: found } = await playStep(stage, step, { rows, webhooks, origin, zone: scenario.time_zone });
      ours += arrivals;
      findings.push(...found);
    }
    return { name: scenario.name, steps: scenario.steps.length, theirs: scenario.steps.flatMap(({ posted }) => posted).length, ours, findings };
  } finally {
    await stage.close();
  }
}

interface Course {
  readonly rows: Rows;
  /** null: the bridge does not mirror them */
  readonly webhooks: AppWebhooks | null;
  readonly origin: string;
  readonly zone: string;
}

async function playStep(stage: Stage, step: Step, { rows, webhooks, origin, zone }: Course): Promise<{ arrivals: number; findings: readonly Finding[] }> {
  const endpoints = await endpointsOf(stage.client, step, origin);
  await stage.register(endpoints.paths);
  stage.receiver.expect(step.posted, endpoints.unreachable);
  // What is still there came between two steps, and belongs to none.
  const late = stage.receiver.take().map(({ path }) => finding(step, `${path}, before the step`, 'a notification after its step was settled'));

  const missing = await play(stage, step);
  const transactions = await stage.journal.take();
  rows.apply(transactions);
  const arrivals = stage.receiver.take();
  const { rows: counted } = await stage.client.query<{ channels: number }>('SELECT count(*)::int AS channels FROM slackchat_channel');
  const judged = judgeStep({ step, transactions, saves: webhooks?.apply(transactions) ?? new Map<string, never>(), arrivals, endpoints, rows, zone, missing, channels: counted[0]?.channels ?? 0 });

  const errors = stage.sessions.takeErrors();
  const recorded = summarizeRecorded(step.transactions, TABLES);
  const replayed = summarize(transactions);
  const faithful = recorded.join('\n') === replayed.join('\n');
  const unfaithful = faithful ? [] : [finding(step, 'replay', `  recorded ${JSON.stringify(recorded)}\n  replayed ${JSON.stringify(replayed)}\n  ${errors.join('\n  ')}`)];
  return { arrivals: arrivals.length, findings: [...late, ...unfaithful, ...judged] };
}

/** The statements, and the requests of people between them. @returns the types of requests that could not be made */
async function play(stage: Stage, step: Step): Promise<ReadonlySet<string>> {
  const missing = new Set<string>();
  const requests = requestsOf(step);
  let done = 0;
  for (const [index, request] of requests.entries()) {
    const place = placeOf(index, requests, step.statements.length);
    await stage.sessions.run(step.statements.slice(done, place));
    done = place;
    if (!(await ask(stage.client, request))) missing.add(request.type);
    // So that it is answered with the state of its moment.
    else await stage.settled();
  }
  await stage.sessions.run(step.statements.slice(done));
  await stage.settled();
  return missing;
}

function finding({ step, label }: Step, about: string, detail: string): Finding {
  return { step, label, about, verdict: 'unexplained', rules: [], detail };
}
