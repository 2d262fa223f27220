import { expect, test } from 'vitest';
import { savesOf } from '../../src/saves.js';
import { OWN_MARK } from '../../src/store/webhooks.js';
import type { Change, Entity, Transaction } from '../../src/types.js';

const saved = (transactions: readonly Transaction[]): ReturnType<typeof savesOf> => savesOf(transactions, false);
const transaction = (...changes: Change[]): Transaction => ({ xid: 1, commitLsn: 1n, endLsn: 2n, committedAt: 0, changes, bytes: 0, part: 0, final: true });
const update = (entity: Entity, id: string, verified = 't'): Change => ({ kind: 'row', index: 0, op: 'update', entity, before: null, after: { id, verified } });
const mark = (content: string): Change => ({ kind: 'control', index: 0, content });

test('what has nothing to do with endpoints is no news', () => {
  expect(saved([transaction(update('message', '1'), mark('{"verify":"1"}'))])).toBeNull();
});

test('rows of both tables, of several transactions', () => {
  const saves = saved([transaction(update('webhook', '1')), transaction(update('webhook', '2'), update('appWebhook', '1'))]);
  expect([...(saves?.own ?? [])]).toEqual(['1', '2']);
  expect([...(saves?.app ?? [])]).toEqual([['1', true]]);
});

test('a row that was left unverified once is, whatever was saved after that', () => {
  expect([...(saved([transaction(update('appWebhook', '1', 'f'), update('appWebhook', '1', 't'))])?.app ?? [])]).toEqual([['1', false]]);
  expect([...(saved([transaction(update('appWebhook', '1', 't')), transaction(update('appWebhook', '1', 'f'))])?.app ?? [])]).toEqual([['1', false]]);
});

test('a deletion and a TRUNCATE are news without a save', () => {
  const gone = saved([transaction({ kind: 'row', index: 0, op: 'delete', entity: 'appWebhook', before: { id: '1' }, after: null })]);
  expect([gone?.own.size, gone?.app.size]).toEqual([0, 0]);
  expect(saved([transaction({ kind: 'truncate', index: 0, entities: ['appWebhook'] })])).not.toBeNull();
});

test('the bridge\'s own writes are no news; another instance\'s are, in the bridge\'s own table alone', () => {
  const both = [update('webhook', '1'), update('appWebhook', '1')];
  expect(saved([transaction(mark(OWN_MARK), ...both)])).toBeNull();
  const other = saved([transaction(...both, mark('{"own":"another"}'))]);
  expect([[...(other?.own ?? [])], other?.app.size]).toEqual([['1'], 0]);
});

test('where instances share the messages, what another one wrote is news and no save: it found it out', () => {
  const other = savesOf([transaction(update('webhook', '1', 'f'), mark('{"own":"another"}'))], true);
  expect([other?.own.size, other?.app.size]).toEqual([0, 0]);
  expect(savesOf([transaction(mark(OWN_MARK), update('webhook', '1'))], true)).toBeNull();
  expect([...(savesOf([transaction(update('webhook', '1', 'f'))], true)?.own ?? [])]).toEqual(['1']);
});
