import { z } from 'zod';
import { Metrics, type Figures } from '../src/metrics.js';

const Described = z.object({
  name: z.string(),
  type: z.string(),
  help: z.string(),
  values: z.array(z.object({ labels: z.record(z.string(), z.union([z.string(), z.number()])) })),
});

const NOTHING: Figures = {
  state: 'starting', ready: false, lagSeconds: 0, slot: { walStatus: 'missing', lagBytes: null, retainedBytes: null, safeBytes: 0 },
  bufferedBytes: 0, unsettled: 0, inFlight: 0, waiting: 0, dead: 0, oldestWaitingSeconds: 0, endpoints: { active: 0, failing: 0, unverified: 0, disabled: 0 },
};

/** What /metrics shows, as text and as prom-client describes it, Node's own included. */
export async function shownMetrics(): Promise<{ readonly text: string; readonly metrics: readonly z.infer<typeof Described>[] }> {
  const metrics = new Metrics('slackchat_bridge');
  const { text } = await metrics.read(NOTHING);
  return { text, metrics: z.array(Described).parse(await metrics.registry.getMetricsAsJSON()) };
}

export async function metricsTable(): Promise<string> {
  const { metrics } = await shownMetrics();
  const rows = metrics.filter(({ name }) => name.startsWith('slackchat_bridge_')).map(({ name, type, help, values }) => `| \`${name}\` | ${type} | ${labelsOf(name, values)} | ${help} |`);
  return ['| metric | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function labelsOf(metric: string, values: z.infer<typeof Described>['values']): string {
  const labels = new Map<string, Set<string>>();
  for (const [label, value] of values.flatMap((sample) => Object.entries(sample.labels))) {
    labels.set(label, (labels.get(label) ?? new Set()).add(String(value)));
  }
  labels.delete('le');
  // The one whose values are its own on each instance.
  if (metric === 'slackchat_bridge_info') return [...labels.keys()].map((label) => `\`${label}\``).join(', ');
  return [...labels].map(([label, known]) => `\`${label}\`: ${[...known].join(', ')}`).join('; ');
}
