import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { shownMetrics } from '../../scripts/metrics-table.js';
import { bridgeConfig, databaseConfig, SETTINGS } from '../../src/config.js';

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

const Container = z.object({
  name: z.string(), image: z.string(), args: z.array(z.string()),
  env: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
  envFrom: z.array(z.object({ secretRef: z.object({ name: z.string() }) })),
  livenessProbe: z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) }).optional(),
  readinessProbe: z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) }).optional(),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]),
  resources: z.object({ requests: z.object({ cpu: z.string(), memory: z.string() }), limits: z.object({ memory: z.string() }) }),
  securityContext: z.looseObject({ readOnlyRootFilesystem: z.literal(true), allowPrivilegeEscalation: z.literal(false), capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }) }),
});
const Pod = z.looseObject({ containers: z.array(Container).default([]), initContainers: z.array(Container).default([]), terminationGracePeriodSeconds: z.number().optional() });
const Manifest = z.looseObject({
  kind: z.string(), metadata: z.object({ name: z.string() }), stringData: z.record(z.string(), z.string()).optional(),
  spec: z.looseObject({ template: z.object({ spec: Pod }).optional() }).optional(),
});

/** What a container of ours sees of its configuration is checked as the bridge checks it. */
function faultsOf(container: z.infer<typeof Container>, secrets: ReadonlyMap<string, Readonly<Record<string, string>>>): string[] {
  const environment = Object.fromEntries([
    ...container.envFrom.flatMap(({ secretRef }) => Object.entries(secrets.get(secretRef.name) ?? {})), ...container.env.map(({ name, value }) => [name, value]),
  ]) as Record<string, string>;
  const check = container.args[0] === 'run' ? bridgeConfig : databaseConfig;
  try {
    check(environment);
    return [];
  } catch (error) {
    return [String(error)];
  }
}

test('what kubernetes.yaml and the sidecar give the bridge is a configuration that it accepts, with probes that the admin port answers', async () => {
  const manifests = parseAllDocuments(await read('deploy/kubernetes.yaml')).map((document) => Manifest.parse(document.toJS()));
  const secrets = new Map(manifests.flatMap(({ metadata, stringData }) => (stringData === undefined ? [] : [[metadata.name, stringData] as const])));
  const sidecar = z.object({ spec: z.object({ template: z.object({ spec: Pod }) }) }).parse(parse(await read('deploy/kubernetes-sidecar.yaml')));
  const pods = [...manifests.flatMap(({ spec }) => (spec?.template === undefined ? [] : [spec.template.spec])), sidecar.spec.template.spec];
  const containers = pods.flatMap((pod) => [...pod.containers, ...pod.initContainers]);
  expect(containers.map(({ args }) => args[0])).toEqual(['setup', 'run', 'run']);
  expect(new Set(containers.map(({ image }) => image)).size).toBe(1);
  for (const container of containers) {
    expect(faultsOf(container, secrets)).toEqual([]);
    if (container.args[0] !== 'run') continue;
    expect(container.livenessProbe?.httpGet).toMatchObject({ path: '/healthz', port: container.ports[0]?.name });
    expect(container.ports[0]?.containerPort).toBe(4747);
    // A kubelet asks from outside the pod.
    expect(container.env).toContainEqual({ name: 'ADMIN_HOST', value: '0.0.0.0' });
  }
  for (const pod of pods) if (pod.terminationGracePeriodSeconds !== undefined) expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(SETTINGS.shape.SHUTDOWN_TIMEOUT_MS.parse(undefined));
});

test('the versions in deploy/ are that of the package', async () => {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(await read('package.json')));
  for (const path of ['deploy/kubernetes.yaml', 'deploy/kubernetes-sidecar.yaml']) {
    expect([...(await read(path)).matchAll(/image: \S+:(\S+)/gu)].map(([, tag]) => tag)).toSatisfy((tags: string[]) => tags.length > 0 && tags.every((tag) => tag === version));
  }
});
