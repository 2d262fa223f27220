import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { shownMetrics } from '../../scripts/metrics-table.js';

const root = join(import.meta.dirname, '../..');
const read = async (path: string): Promise<string> => readFile(join(root, path), 'utf8');

const Rules = z.object({
  groups: z.array(z.object({ rules: z.array(z.strictObject({
    alert: z.string(), expr: z.string(), for: z.string().optional(), labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
    annotations: z.strictObject({ summary: z.string(), reason: z.string() }),
  })) })),
});
const Dashboard = z.object({
  panels: z.array(z.object({
    id: z.number(), title: z.string(), gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }), targets: z.array(z.object({ expr: z.string() })),
  })),
});

/** Series that a query selects but that /metrics does not show. */
async function unknownSeries(queries: readonly string[]): Promise<string[]> {
  const { text } = await shownMetrics();
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return queries.flatMap((query) => [...query.matchAll(/\b((?:slackchat_bridge|nodejs|process)_\w+)(?:\{([^}]*)\})?/gu)]).flatMap(([, name = '', selector = '']) => {
    // Labels that Prometheus adds are not in what is scraped.
    const labels = [...selector.matchAll(/(\w+)(=~?)"([^"]*)"/gu)].filter(([, label]) => label !== 'job');
    const wanted = labels.flatMap(([, label, operator, value = '']) => (operator === '=~' ? value.split('|') : [value]).map((one) => `${label}="${one}"`));
    const shown = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    if (shown.length === 0) return [name];
    return wanted.filter((one) => !shown.some((line) => line.includes(one))).map((one) => `${name}{${one}}`);
  });
}

test('a query for a metric or a label value that is not there is found', async () => {
  expect(await unknownSeries(['rate(slackchat_bridge_nothing_total[5m])', 'slackchat_bridge_state{job="x", state="sleeping"} == 1', 'slackchat_bridge_slot_wal_status{status=~"lost|found"}'])).toEqual([
    'slackchat_bridge_nothing_total', 'slackchat_bridge_state{state="sleeping"}', 'slackchat_bridge_slot_wal_status{status="found"}',
  ]);
});

test('every alert asks for metrics that there are, and gives its reason', async () => {
  const rules = Rules.parse(parse(await read('deploy/alerts.yml'))).groups.flatMap((group) => group.rules);
  expect(await unknownSeries(rules.map(({ expr }) => expr))).toEqual([]);
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
});

test('every panel of the dashboard asks for metrics that there are, and covers no other', async () => {
  const { panels } = Dashboard.parse(JSON.parse(await read('deploy/grafana.json')));
  expect(await unknownSeries(panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)))).toEqual([]);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, place) => `${x + (place % w)},${y + Math.floor(place / w)}`));
  expect(new Set(cells).size).toBe(cells.length);
});
