import { expect, test } from 'vitest';
import { Completeness } from '../../src/deliver/completeness.js';
import { compareLsn } from '../../src/receiver/lsn.js';
import type { Webhook } from '../../src/types.js';

const webhook: Webhook = {
  id: '1', endpoint: 'http://x/', token: null, secret: null, chatTypes: null, updateTypes: null, ordering: 'message', conflate: false,
  maxInFlight: 1, enabled: true, verified: true, failureNoted: false, awaited: false, deliverFrom: null, completeSince: null,
};

function begun(at: bigint): Completeness {
  const completeness = new Completeness();
  completeness.changed(null, webhook, true, at);
  return completeness;
}

const said = ({ headers }: Completeness): string => headers.filter((_text, index) => index % 2 === 1).join(' to ');

test('what was seen is said once the stream has come to where the WAL ended then', () => {
  const completeness = begun(10n);
  completeness.noRows(20n, 25n);
  completeness.passed(24n);
  expect(completeness.headers).toEqual([]);
  completeness.passed(25n);
  expect(completeness.headers).toEqual(['slackchat-resolved-since', '0/A', 'slackchat-resolved-lsn', '0/14']);
});

test('what was removed in between begins it anew', () => {
  const completeness = begun(10n);
  completeness.noRows(20n, 25n);
  completeness.begin(22n);
  completeness.passed(30n);
  expect(said(completeness)).toBe('');
  completeness.noRows(30n, 31n);
  completeness.passed(31n);
  expect(said(completeness)).toBe('0/16 to 0/1E');
});

test('it begins anew when the endpoint is told of more than before, and ends when it is told of nothing', () => {
  const completeness = begun(10n);
  const say = (at: bigint): string => {
    completeness.noRows(at, at);
    completeness.passed(at);
    return said(completeness);
  };
  expect(say(20n)).toBe('0/A to 0/14');
  completeness.changed(webhook, { ...webhook, maxInFlight: 3, verified: true }, true, 30n);
  expect(say(32n)).toBe('0/A to 0/20');
  completeness.changed(webhook, { ...webhook, updateTypes: ['message_created'] }, true, 40n);
  expect(said(completeness)).toBe('');
  expect(say(50n)).toBe('0/28 to 0/32');
  completeness.changed(webhook, { ...webhook, enabled: false }, false, 60n);
  expect(say(70n)).toBe('');
  completeness.changed(webhook, { ...webhook, deliverFrom: 90n }, true, 80n);
  expect(say(85n)).toBe('');
  expect(say(100n)).toBe('0/5A to 0/64');
});

test('positions are compared as numbers', () => {
  expect(['0/A', '1/0', '0/9', '0/10', 'A/0'].sort(compareLsn)).toEqual(['0/9', '0/A', '0/10', '1/0', 'A/0']);
  expect(compareLsn('16/B374D848', '16/B374D848')).toBe(0);
});
