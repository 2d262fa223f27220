import type { Client } from 'pg';
import { field } from './json.js';
import type { Scenario, Step } from './scenario.js';

export interface Endpoints {
  /** paths of the receiver that are endpoints during the step */
  readonly paths: ReadonlySet<string>;
  /** of these, those at whose address the application reached nobody */
  readonly unreachable: ReadonlySet<string>;
}

/** Where the recording's receiver was: the origin that most of its endpoints have. */
export function recordedOrigin(scenario: Scenario): string {
  const sql = [...scenario.initial_sql, ...scenario.steps.flatMap(({ statements }) => statements.map(([, statement]) => statement))];
  const counts = new Map<string, number>();
  for (const [origin] of sql.filter((line) => line.includes('slackchat_webhook')).join('\n').matchAll(/https?:\/\/[^/"'\s]+/gu)) {
    counts.set(origin, (counts.get(origin) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}

/** The application's endpoints as a step begins: its verified rows, and those that it verifies in the step and posts to. */
export async function endpointsOf(client: Client, step: Step, origin: string): Promise<Endpoints> {
  const { rows } = await client.query<{ endpoint: string }>('SELECT endpoint FROM slackchat_webhook WHERE verified');
  const paths = new Set<string>();
  const unreachable = new Set<string>();
  for (const { endpoint } of rows) {
    if (!URL.canParse(endpoint)) continue;
    const url = new URL(endpoint);
    const path = `${url.pathname}${url.search}`;
    paths.add(path);
    if (url.origin !== origin) unreachable.add(path);
  }
  for (const { path, body } of step.posted) if (field(body, 'type') !== 'url_verification') paths.add(path);
  return { paths, unreachable };
}
