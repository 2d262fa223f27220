import { expect, test } from 'vitest';
import type { Span } from '../../src/admin/events.js';
import { bytes, distance, duration, indented, milliseconds, rate, subject } from '../../src/admin/page/format.js';
import { areaPath, ceiling, linePath, Series } from '../../src/admin/page/series.js';
import { slotFault, stateWords } from '../../src/admin/page/words.js';

test('figures are short and say their unit', () => {
  expect([null, 0, 900, 1024, 10_240, 3_500_000, 70 * 2 ** 30, 5e15].map(bytes)).toEqual(['–', '0 B', '900 B', '1.0 kB', '10 kB', '3.3 MB', '70 GB', '4547 TB']);
  expect([null, 0.34, 7.26, 12.6, 999, 1_500, 75_000].map(milliseconds)).toEqual(['–', '0.3 ms', '7.3 ms', '13 ms', '999 ms', '1.5 s', '75 s']);
  expect([-5, 9_940, 61_000, 150_000, 7_000_000, 200_000_000].map(duration)).toEqual(['0 s', '9.9 s', '61 s', '3 min', '2 h', '2 d']);
  expect([0, 0.2, 9.96, 1_234.5].map(rate)).toEqual(['0', '0.2', '10.0', '1,235']);
});

test('times are told as distances, from the clock that is given', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect([null, '2025-12-31T23:59:48Z', '2025-12-31T23:59:59.500Z', '2026-01-01T00:03:00Z'].map((time) => distance(time, now))).toEqual(['–', '12 s ago', 'now', 'in 3 min']);
});

test('what a request is about is read from its beginning, cut as it may be', () => {
  expect(subject('{"type":"update_notification","update_type":"message_created","message":{"content":"say \\"a\\" \\u00e9","user":"U"}}')).toEqual({ kind: 'message_created', content: 'say "a" é' });
  expect(subject('{"type":"republish_request","channel":"c","channel_data":"{\\"id\\":')).toEqual({ kind: 'republish_request', content: '' });
  expect(subject('{"type":"update_notification","message":{"content":"cut \\u00')).toEqual({ kind: 'update_notification', content: 'cut \\u00' });
});

test('JSON is indented without a change of what it says', () => {
  const json = '{"a":"x, {y}: \\"z\\"","n":12345678901234567890.10,"list":[1,{"b":null}],"none":[],"empty":{}}';
  const shown = indented(json);
  expect(shown).toBe('{\n  "a": "x, {y}: \\"z\\"",\n  "n": 12345678901234567890.10,\n  "list": [\n    1,\n    {\n      "b": null\n    }\n  ],\n  "none": [],\n  "empty": {}\n}');
  expect(indented('{"a":["cut')).toBe('{\n  "a": [\n    "cut');
});

const span = (index: number, delivered: number, p50: number | null = null): Span => ({ index, delivered, failed: 0, p50, p95: p50 });

test('a chart shows the spans that are over, with nothing where nothing happened', () => {
  const series = new Series();
  series.take({ index: 104, count: 5, ms: 5_000, spans: [span(101, 50, 3), span(104, 10)] });
  expect(series.rates('delivered')).toEqual([0, 10, 0, 0]);
  expect(series.latencies('p50')).toEqual([null, 3, null, null]);
  expect(series.at(3)).toBe(103 * 5_000);
  // The next one goes on: what was told before may have changed, and the oldest is forgotten.
  series.take({ index: 105, count: 5, ms: 5_000, spans: [span(104, 25)] });
  series.take({ index: 106, count: 5, ms: 5_000, spans: [] });
  expect(series.rates('delivered')).toEqual([0, 0, 5, 0]);
});

test('a line is broken where there is no value, and never leaves its box', () => {
  expect(linePath([0, 5, null, 20, null], 40, 10, 10)).toBe('M0.0 10.0L10.0 5.0M30.0 0.0H32.0');
  expect(areaPath([0, 10], 10, 10, 10)).toBe('M0.0 10.0L10.0 0.0V10H0Z');
  expect(areaPath([], 10, 10, 10)).toBe('');
  expect(linePath([null, null], 10, 10, 10)).toBe('');
});

test.each([[[0.2], 1, 1], [[3.2], 1, 4], [[10], 1, 10], [[11], 1, 15], [[null], 10, 10], [[0.0047], 0.001, 0.005]])('a chart of %j, at least %d, is as high as %d', (line, least, high) => {
  expect(ceiling([line], least)).toBeCloseTo(high, 10);
});

test('a bridge that streams and is not ready is stalled; a state of a newer version is told as it is', () => {
  expect(stateWords({ state: 'streaming', reason: null })).toEqual({ text: 'streaming', tone: 'well' });
  expect(stateWords({ state: 'streaming', reason: 'a transaction cannot be shaped' })).toEqual({ text: 'stalled', tone: 'failing' });
  expect(stateWords({ state: 'reconnecting', reason: 'not streaming: ECONNREFUSED' })).toEqual({ text: 'not streaming', tone: 'failing' });
  expect(stateWords({ state: 'hibernating', reason: 'hibernating' })).toEqual({ text: 'hibernating', tone: 'disabled' });
});

test.each([
  ['reserved', 5, null],
  [null, null, null],
  ['extended', null, null],
  ['extended', 3_145_728, /3\.0 MB more/u],
  ['unreserved', 0, /about to be lost/u],
  ['lost', 0, /is lost/u],
  ['missing', 0, /is missing/u],
])('of a slot whose wal_status is %s with %s bytes left it says: %s', (walStatus, safeBytes, said) => {
  const fault = slotFault({ slot: 's', walStatus, safeBytes });
  if (said === null) expect(fault).toBeNull();
  else expect(fault).toMatch(said);
});
