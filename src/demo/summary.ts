import { BridgeError } from '../errors.js';
import { faultsOf, type Verdict } from './expectations.js';
import type { Screen } from './screen.js';
import { milliseconds, type Story } from './story.js';

/**
 * Says what was checked and how it came out.
 * @throws {BridgeError} with everything that is wrong
 */
export function summarize(story: Story, screen: Screen, seconds: number, broken: Error | null): void {
  const verdict = story.verdict();
  const faults = faultsOf(verdict);
  screen.waiting(null);
  screen.chapter('Checked');
  const tell = (ok: boolean, well: string, ill: string): void => (ok ? screen.good(well) : screen.bad(ill));
  const { missing, unexpected, disorder, badRepeats, delivered, messages, repeats } = verdict;
  const count = story.expectedCount;
  tell(missing.length === 0, `every expected notification arrived: ${delivered.size} of ${count}, from ${story.commits} commits`, `${missing.length} of ${count} expected notifications did not arrive`);
  tell(unexpected.length === 0, 'none came that must not come', `${unexpected.length} came that must not come`);
  tell(disorder.length === 0, `the order was kept for each of ${messages} messages`, `the order was broken ${disorder.length} times`);
  tell(badRepeats.length === 0, `${repeats} requests were repeats, with the same webhook-id, after a refusal or the kill only`, `${badRepeats.length} repeats are wrong`);
  screen.note(figures(story, verdict));
  screen.line();
  if (broken === null && faults.length === 0) {
    screen.line(screen.paint('green', `demo passed: ${story.commits} commits, ${count} notifications, none lost, none unexpected, order kept (${seconds.toFixed(1)} s)`));
    return;
  }
  const lines = [...(broken === null ? [] : [broken.message]), ...faults];
  throw new BridgeError(`the demo failed:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

function figures(story: Story, { delivered }: Verdict): string {
  const sorted = [...story.latencies].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const refused = [...delivered.values()].filter(({ arrivals }) => arrivals.some(({ status }) => status === 500)).length;
  const again = [...delivered.values()].filter(({ first, arrivals }) => arrivals.some(({ run }) => run > first.run)).length;
  return `median latency ${milliseconds(median)} (commit returned → request received, ${sorted.length} undisturbed), slowest ${milliseconds(sorted.at(-1) ?? 0)}; ${refused} deliveries retried after 500, ${again} sent again after the kill`;
}
