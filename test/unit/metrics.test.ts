import { expect, test } from 'vitest';
import { Metrics } from '../../src/metrics.js';

test('what is counted by a label is shown, each time with all of it', async () => {
  const metrics = new Metrics();
  metrics.attempts.add('delivered');
  metrics.attempts.add('delivered');
  metrics.attempts.add('failed');
  metrics.notifications.add('message_created');
  for (let scrape = 0; scrape < 2; scrape += 1) {
    const text = await metrics.registry.metrics();
    expect(text).toContain('slackchat_bridge_attempts_total{outcome="delivered"} 2\n');
    expect(text).toContain('slackchat_bridge_attempts_total{outcome="failed"} 1\n');
    expect(text).toContain('slackchat_bridge_notifications_total{kind="message_created"} 1\n');
  }
});
