import type { Client } from 'pg';
import { isChallenge, pathOf } from './challenges.js';
import type { Scenario, Step } from './scenario.js';

export interface Endpoints {
  /** paths of the receiver that are endpoints during the step */
  readonly paths: ReadonlySet<string>;
  /** paths of endpoints at whose address the application reached nobody */
  readonly unreachable: ReadonlySet<string>;
}

const ORIGIN = /https?:\/\/[^/"'\s]+/gu;

/** Where the recording's receiver was: the origin that most of its endpoints have. */
export function recordedOrigin(scenario: Scenario): string {
  const counts = new Map<string, number>();
  for (const origin of originsOf(scenario)) counts.set(origin, (counts.get(origin) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}

/**
 * Whether the bridge has to take the application's table for its own (APP_WEBHOOKS=mirror): where the application challenged,
 * and where rows are written, as long as all of them are at the receiver. Otherwise the runner registers the endpoints.
 */
export function mirrors(scenario: Scenario): boolean {
  if (scenario.steps.some(({ posted }) => posted.some(({ body }) => isChallenge(body)))) return true;
  const written = scenario.steps.some(({ transactions }) => transactions.flat().some((write) => write.endsWith(' webhook')));
  return written && new Set(originsOf(scenario)).size <= 1;
}

/** The same statement with the receiver in the place of the recording's. */
export function redirected(sql: string, from: string, to: string): string {
  return from !== '' && sql.includes('slackchat_webhook') ? sql.replaceAll(from, to) : sql;
}

/** The application's endpoints as a step begins: its verified rows, and those that it verifies in the step and posts to. */
export async function endpointsOf(client: Client, step: Step, origin: string): Promise<Endpoints> {
  const { rows } = await client.query<{ endpoint: string; verified: boolean }>('SELECT endpoint, verified FROM slackchat_webhook');
  const paths = new Set<string>();
  const unreachable = new Set<string>();
  for (const { endpoint, verified } of rows) {
    if (!URL.canParse(endpoint)) continue;
    if (verified) paths.add(pathOf(endpoint));
    if (new URL(endpoint).origin !== origin) unreachable.add(pathOf(endpoint));
  }
  for (const { path, body } of step.posted) if (!isChallenge(body)) paths.add(path);
  return { paths, unreachable };
}

function originsOf(scenario: Scenario): readonly string[] {
  const sql = [...scenario.initial_sql, ...scenario.steps.flatMap(({ statements }) => statements.map(([, statement]) => statement))];
  return sql.filter((line) => line.includes('slackchat_webhook')).flatMap((line) => [...line.matchAll(ORIGIN)].map(([origin]) => origin));
}
