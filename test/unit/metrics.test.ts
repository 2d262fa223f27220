import { expect, test } from 'vitest';
import { Metrics, outcomeLabel } from '../../src/metrics.js';

test('what is counted by a label is shown, each time with all of it, and what has not happened as 0', async () => {
  const metrics = new Metrics('slackchat_bridge');
  metrics.attempts.add('delivered');
  metrics.attempts.add('delivered');
  metrics.attempts.add('rejected');
  metrics.notifications.add('message_created');
  for (let scrape = 0; scrape < 2; scrape += 1) {
    const text = await metrics.registry.metrics();
    expect(text).toContain('slackchat_bridge_attempts_total{outcome="delivered"} 2\n');
    expect(text).toContain('slackchat_bridge_attempts_total{outcome="rejected"} 1\n');
    expect(text).toContain('slackchat_bridge_attempts_total{outcome="gone"} 0\n');
    expect(text).toContain('slackchat_bridge_notifications_total{kind="message_created"} 1\n');
  }
});

test('a latency is counted in its bucket and in all that are wider', async () => {
  const metrics = new Metrics('slackchat_bridge');
  for (const seconds of [0.001, 0.0011, 0.3, 100]) metrics.latency.add(seconds);
  const text = await metrics.registry.metrics();
  const bucket = (le: string): string | undefined => new RegExp(`^slackchat_bridge_delivery_latency_seconds_bucket\\{le="${le.replace('+', '\\+')}"\\} (\\S+)$`, 'mu').exec(text)?.[1];
  expect(['0.001', '0.0025', '0.25', '0.5', '30', '+Inf'].map(bucket)).toEqual(['1', '2', '2', '3', '3', '4']);
  expect(text).toMatch(/^slackchat_bridge_delivery_latency_seconds_count 4$/mu);
  expect(text).toMatch(/^slackchat_bridge_delivery_latency_seconds_sum 100\.3021$/mu);
  expect(text).toContain('# TYPE slackchat_bridge_delivery_latency_seconds histogram\n');
});

test('an attempt without an answer is told from one that was refused', () => {
  const failed = { kind: 'failed', reason: '', retryAfterMs: null } as const;
  expect(outcomeLabel({ ...failed, status: 503 })).toBe('rejected');
  expect(outcomeLabel({ ...failed, status: null })).toBe('unanswered');
  expect(outcomeLabel({ kind: 'gone', status: 410, reason: '' })).toBe('gone');
});
