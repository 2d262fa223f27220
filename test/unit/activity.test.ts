import { expect, test } from 'vitest';
import { Activity, ATTEMPTS, BODY_LIMIT, SPAN_MS, SPANS } from '../../src/admin/activity.js';
import type { Outcome } from '../../src/types.js';

const NOW = 1_700_000_000_000;
const DELIVERED: Outcome = { kind: 'delivered', status: 200 };
const FAILED: Outcome = { kind: 'failed', status: 503, reason: 'status 503', retryAfterMs: null };
const note = (body = '{}') => ({ notificationId: 'n', channelId: 'c', body });

test('attempts are kept in order, the oldest forgotten, and each is told once', () => {
  const activity = new Activity();
  for (let at = 0; at < ATTEMPTS + 30; at += 1) activity.attempted('1', note(), DELIVERED, 1, 2, NOW, NOW + at);
  const all = activity.since(0);
  expect(all).toHaveLength(ATTEMPTS);
  expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: ATTEMPTS }, (_seq, place) => place + 31));
  expect(activity.since(ATTEMPTS + 28).map(({ seq }) => seq)).toEqual([ATTEMPTS + 29, ATTEMPTS + 30]);
});

test('of a body only the beginning is kept, with the length of all of it', () => {
  const activity = new Activity();
  activity.attempted('1', note('é'.repeat(BODY_LIMIT + 5)), FAILED, 1, 2, null, NOW);
  expect(activity.since(0)).toEqual([expect.objectContaining({ body: 'é'.repeat(BODY_LIMIT), bodyLength: BODY_LIMIT + 5, reason: 'status 503', status: 503, latencyMs: null })]);
});

test('a span counts what was delivered and what failed; latency is that of first attempts straight from the stream', () => {
  const activity = new Activity();
  for (let ms = 1; ms <= 100; ms += 1) activity.attempted('1', note(), DELIVERED, 1, 1, NOW - ms, NOW);
  activity.attempted('1', note(), DELIVERED, 2, 1, NOW - 80_000, NOW);
  activity.attempted('1', note(), DELIVERED, 1, 1, null, NOW);
  activity.attempted('1', note(), FAILED, 1, 1, NOW - 80_000, NOW);
  const [span] = activity.spans(0, NOW);
  expect(span).toMatchObject({ index: NOW / SPAN_MS, delivered: 102, failed: 1 });
  // The true values are 50 and 95; what is shown is the bound above.
  expect(span?.p50).toBeCloseTo(64);
  expect(span?.p95).toBeCloseTo(128);
});

test('latencies beyond what is counted, and clocks that disagree, do no harm', () => {
  const activity = new Activity();
  activity.attempted('1', note(), DELIVERED, 1, 1, NOW - 86_400_000, NOW);
  activity.attempted('1', note(), DELIVERED, 1, 1, NOW + 5_000, NOW + SPAN_MS);
  expect(activity.spans(0, NOW + SPAN_MS).map(({ p50 }) => Math.round(p50 ?? -1))).toEqual([92_682, 1]);
});

test('spans go by in a ring: what is older than it is forgotten, also when nothing happened since', () => {
  const activity = new Activity();
  for (const spans of [0, 1, SPANS - 1]) activity.attempted('1', note(), DELIVERED, 1, 1, null, NOW + spans * SPAN_MS);
  expect(activity.spans(0, NOW + (SPANS - 1) * SPAN_MS)).toHaveLength(3);
  expect(activity.spans(0, NOW + SPANS * SPAN_MS)).toHaveLength(2);
  activity.attempted('1', note(), FAILED, 1, 1, null, NOW + SPANS * SPAN_MS);
  expect(activity.spans(0, NOW + SPANS * SPAN_MS).at(-1)).toMatchObject({ delivered: 0, failed: 1 });
  expect(activity.spans(NOW / SPAN_MS + SPANS, NOW + SPANS * SPAN_MS)).toHaveLength(1);
});

test('an endpoint fails since its first failure after a success; one that is no more is forgotten', () => {
  const activity = new Activity();
  const attempt = (outcome: Outcome, at: number): void => activity.attempted('1', note(), outcome, 1, 1, null, at);
  expect(activity.health('1')).toEqual({ lastSuccessAt: null, failingSince: null });
  attempt(FAILED, 1);
  attempt(FAILED, 2);
  expect(activity.health('1')).toEqual({ lastSuccessAt: null, failingSince: 1 });
  attempt(DELIVERED, 3);
  attempt(FAILED, 4);
  expect(activity.health('1')).toEqual({ lastSuccessAt: 3, failingSince: 4 });
  activity.retain(new Set(['2']));
  expect(activity.health('1')).toEqual({ lastSuccessAt: null, failingSince: null });
});
