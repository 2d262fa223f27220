import { shownMetrics } from './metrics-table.js';

// For `promtool check metrics`, which holds names and help against Prometheus' conventions. Node's own are not ours to name.
const { text } = await shownMetrics();
process.stdout.write(`${text.split('\n\n').filter((metric) => metric.startsWith('# HELP slackchat_bridge_')).join('\n\n')}\n`);
