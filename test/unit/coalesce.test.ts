import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareIds } from '../../src/ids.js';
import { coalesce, NO_CHILDREN, type Effect, type MessageEffect } from '../../src/shape/coalesce.js';
import type { Row } from '../../src/types.js';
import { attachment, control, insert, kwarg, message, placed, reaction, remove, truncate, update, type Unplaced } from './changes.js';

/** Each change has two places, because it can touch two messages. */
const placeIn = (effect: Effect): { readonly at: number } => ({ at: Math.floor(effect.place / 2) });

/** What came of it, each with the change that it stands at. */
function effects(...changes: readonly Unplaced[]): (Effect & { readonly at: number })[] {
  return coalesce(placed(changes)).map((effect) => ({ ...effect, ...placeIn(effect) }));
}

function messageEffects(...changes: readonly Unplaced[]): (MessageEffect & { readonly at: number })[] {
  return effects(...changes).filter((effect) => effect.kind === 'message');
}

/** Id and net effect of each. */
const nets = (...changes: readonly Unplaced[]): string[] => messageEffects(...changes).map(({ messageId, net }) => `${messageId} ${net}`);

describe('in one transaction', () => {
  test('a message that is inserted is created, with its children and its state at the end', () => {
    expect(
      effects(
        insert('message', message('1')),
        insert('reaction', reaction('10', '1')),
        insert('kwarg', kwarg('20', '1')),
        insert('attachment', attachment('30', '1')),
        update('reaction', reaction('10', '1'), reaction('10', '1', { reaction: 'fire' })),
        update('message', message('1'), message('1', { text: 'at the end' })),
      ),
    ).toMatchObject([
      {
        kind: 'message',
        at: 0,
        messageId: '1',
        net: 'created',
        before: null,
        row: message('1', { text: 'at the end' }),
        children: { reaction: [reaction('10', '1', { reaction: 'fire' })], attachment: [attachment('30', '1')], kwarg: [kwarg('20', '1')] },
      },
    ]);
  });

  test('a message that is inserted in one channel and moved to another is created there, once', () => {
    expect(messageEffects(insert('message', message('1')), update('message', message('1'), message('1', { channel_id: 'c2' })))).toMatchObject([
      { net: 'created', row: { channel_id: 'c2' } },
    ]);
  });

  test('a message that is updated is changed, also when no column differs, and by many updates once', () => {
    expect(effects(update('message', message('1'), message('1')))).toMatchObject([
      { kind: 'message', at: 0, messageId: '1', net: 'changed', before: message('1'), row: message('1'), children: NO_CHILDREN },
    ]);
    expect(messageEffects(...['a', 'b', 'c'].map((text) => update('message', message('1'), message('1', { text }))))).toMatchObject([
      { at: 0, net: 'changed', row: { text: 'c' } },
    ]);
  });

  test.each([
    ['reaction', reaction('10', '1')],
    ['attachment', attachment('10', '1')],
    ['kwarg', kwarg('10', '1')],
  ] as const)('a message whose %s is inserted, updated or deleted is changed, and its own row is not known', (entity, child) => {
    for (const change of [
      insert(entity, child),
      update(entity, child, child),
      update(entity, null, child),
      remove(entity, child),
      remove(entity, { id: '10', message_id: '1' }),
    ]) {
      expect(messageEffects(change)).toMatchObject([{ at: 0, messageId: '1', net: 'changed', before: null, row: null }]);
    }
    expect(nets(insert(entity, child), update(entity, child, child), remove(entity, child))).toEqual(['1 changed']);
  });

  test('a message that is deleted with its children is deleted, as it was before the transaction', () => {
    expect(
      messageEffects(
        update('message', message('1'), message('1', { text: 'between' })),
        remove('kwarg', kwarg('20', '1')),
        remove('message', message('1', { text: 'between' })),
        remove('reaction', reaction('10', '1')),
      ),
    ).toMatchObject([{ at: 0, net: 'deleted', before: message('1'), row: message('1', { text: 'between' }), children: NO_CHILDREN }]);
  });

  test('a message that is inserted and deleted is nothing', () => {
    expect(
      effects(
        insert('message', message('1')),
        insert('reaction', reaction('10', '1')),
        remove('reaction', reaction('10', '1')),
        remove('message', message('1')),
      ),
    ).toEqual([]);
  });

  test('a message that is inserted, deleted and inserted is created, with the children of the last', () => {
    expect(
      messageEffects(
        insert('message', message('1', { text: 'first' })),
        insert('kwarg', kwarg('20', '1')),
        remove('kwarg', kwarg('20', '1')),
        remove('message', message('1', { text: 'first' })),
        insert('message', message('1', { text: 'second' })),
        insert('kwarg', kwarg('21', '1')),
      ),
    ).toMatchObject([{ at: 0, net: 'created', before: null, row: { text: 'second' }, children: { kwarg: [kwarg('21', '1')] } }]);
  });

  test('a message that is deleted and inserted again is changed, or moved', () => {
    expect(nets(remove('message', message('1')), insert('message', message('1', { text: 'new' })))).toEqual(['1 changed']);
    expect(messageEffects(remove('message', message('1')), insert('message', message('1', { channel_id: 'c2' })))).toMatchObject([
      { net: 'moved', before: { channel_id: 'c1' }, row: { channel_id: 'c2' } },
    ]);
    expect(nets(remove('message', message('1')), insert('message', message('1')), remove('message', message('1')))).toEqual(['1 deleted']);
  });

  test('a message whose channel changed is moved, from the channel of before to the one at the end', () => {
    const [c1, c2, c3] = [message('1'), message('1', { channel_id: 'c2' }), message('1', { channel_id: 'c3' })];
    expect(messageEffects(update('message', c1, c2), update('message', c2, c3))).toMatchObject([{ net: 'moved', before: c1, row: c3 }]);
    expect(nets(update('message', c1, c2), update('message', c2, c1))).toEqual(['1 changed']);
    expect(messageEffects(update('message', c1, c2), remove('message', c2))).toMatchObject([{ net: 'deleted', before: c1 }]);
  });

  test('a child that is moved changes both messages, the one that loses it first', () => {
    for (const entity of ['reaction', 'attachment', 'kwarg'] as const) {
      expect(nets(update(entity, { id: '10', message_id: '1' }, { id: '10', message_id: '2' }))).toEqual(['1 changed', '2 changed']);
    }
  });

  test('a child that is moved from a new message to another new one is a child of the second alone', () => {
    expect(
      messageEffects(
        insert('message', message('1')),
        insert('message', message('2')),
        insert('kwarg', kwarg('20', '1')),
        update('kwarg', kwarg('20', '1'), kwarg('20', '2', { value: 'w' })),
      ),
    ).toMatchObject([
      { messageId: '1', net: 'created', children: NO_CHILDREN },
      { messageId: '2', net: 'created', children: { kwarg: [kwarg('20', '2', { value: 'w' })] } },
    ]);
  });

  test('children may come before their message, because their foreign key is deferred', () => {
    expect(messageEffects(insert('reaction', reaction('10', '1')), insert('kwarg', kwarg('20', '1')), insert('message', message('1')))).toMatchObject([
      { at: 0, net: 'created', before: null, row: message('1'), children: { reaction: [reaction('10', '1')], kwarg: [kwarg('20', '1')] } },
    ]);
    expect(
      effects(
        insert('reaction', reaction('10', '1')),
        insert('message', message('1')),
        remove('reaction', reaction('10', '1')),
        remove('message', message('1')),
      ),
    ).toEqual([]);
  });

  test('a message that stays although it is deleted for a moment keeps the children that stayed', () => {
    expect(
      messageEffects(
        insert('message', message('1')),
        insert('kwarg', kwarg('20', '1')),
        remove('message', message('1')),
        insert('message', message('1', { text: 'again' })),
      ),
    ).toMatchObject([{ net: 'created', row: { text: 'again' }, children: { kwarg: [kwarg('20', '1')] } }]);
  });

  test('a message whose key changes goes, and another comes', () => {
    expect(messageEffects(update('message', message('1'), message('2', { text: 'renamed' })))).toMatchObject([
      { messageId: '1', net: 'deleted', before: message('1'), row: message('1') },
      { messageId: '2', net: 'created', before: null, row: message('2', { text: 'renamed' }) },
    ]);
    expect(nets(insert('message', message('1')), update('message', message('1'), message('2')))).toEqual(['2 created']);
    expect(nets(update('message', message('1'), message('2')), update('message', message('2'), message('1')))).toEqual(['1 changed']);
  });

  test('children of one kind with the id of another kind are apart', () => {
    expect(
      messageEffects(
        insert('message', message('1')),
        insert('reaction', reaction('5', '1')),
        insert('kwarg', kwarg('5', '1')),
        remove('reaction', reaction('5', '1')),
      ),
    ).toMatchObject([{ children: { reaction: [], kwarg: [kwarg('5', '1')] } }]);
  });

  test('children are ordered by id, as numbers where they are numbers', () => {
    const [created] = messageEffects(insert('message', message('1')), ...['10', '9', '100', '2'].map((id) => insert('kwarg', kwarg(id, '1'))));
    expect(created?.children.kwarg.map((row) => row['id'])).toEqual(['2', '9', '10', '100']);
    expect(['b', 'a', 'a1'].toSorted(compareIds)).toEqual(['a', 'a1', 'b']);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n }), fc.bigInt({ min: 0n }), (a, b) => Math.sign(compareIds(String(a), String(b))) === (a < b ? -1 : a > b ? 1 : 0)),
    );
  });

  test('messages come in the order in which they were first touched', () => {
    expect(
      messageEffects(
        update('user', null, { id: 'u1', api_id: 'U1' }),
        insert('reaction', reaction('10', '3')),
        insert('message', message('1')),
        update('message', message('2'), message('2')),
        remove('message', message('3')),
        update('message', message('1'), message('1')),
      ).map(({ messageId, net, at }) => [messageId, net, at]),
    ).toEqual([
      ['3', 'deleted', 1],
      ['1', 'created', 2],
      ['2', 'changed', 3],
    ]);
  });

  test("rows of the directory and of webhooks are no message's business", () => {
    expect(
      effects(
        ...(['user', 'channel', 'chatType', 'argument', 'template', 'webhook'] as const).flatMap((entity) => [
          insert(entity, { id: '1' }),
          remove(entity, { id: '1' }),
        ]),
      ),
    ).toEqual([]);
  });
});

/** As the WAL has it when these columns are stored outside the row and did not change. */
function toasted(row: Row, ...columns: readonly string[]): Row {
  return { ...row, ...Object.fromEntries(columns.map((column) => [column, undefined])) };
}

describe('what the WAL leaves out', () => {
  test('an unchanged TOAST value of a message is taken from the old row, or from what the transaction wrote before', () => {
    expect(messageEffects(update('message', message('1'), toasted(message('1', { user_id: 'u2' }), 'text', 'serialized')))).toMatchObject([
      { net: 'changed', row: message('1', { user_id: 'u2' }) },
    ]);
    expect(
      messageEffects(insert('message', message('1')), update('message', null, toasted(message('1', { user_id: 'u2' }), 'text', 'serialized'))),
    ).toMatchObject([{ net: 'created', row: message('1', { user_id: 'u2' }) }]);
    expect(
      messageEffects(update('message', null, message('1', { text: 'new' })), update('message', null, toasted(message('1', { user_id: 'u2' }), 'text'))),
    ).toMatchObject([{ net: 'changed', row: message('1', { user_id: 'u2', text: 'new' }) }]);
  });

  test('an unchanged TOAST value of a child is taken from the old row, or from what the transaction wrote before', () => {
    expect(messageEffects(insert('message', message('1')), update('kwarg', kwarg('20', '2'), toasted(kwarg('20', '1', { key: 'j' }), 'value')))).toMatchObject([
      { messageId: '1', children: { kwarg: [kwarg('20', '1', { key: 'j' })] } },
      { messageId: '2' },
    ]);
    expect(
      messageEffects(
        insert('message', message('1')),
        insert('kwarg', kwarg('20', '1')),
        update('kwarg', null, toasted(kwarg('20', '1', { key: 'j' }), 'value')),
      ),
    ).toMatchObject([{ children: { kwarg: [kwarg('20', '1', { key: 'j' })] } }]);
    // under an index the old row has no more than the index covers
    expect(
      messageEffects(
        insert('message', message('1')),
        insert('message', message('2')),
        insert('kwarg', kwarg('20', '1')),
        update('kwarg', { id: '20', message_id: '1' }, toasted(kwarg('20', '2'), 'value')),
      ),
    ).toMatchObject([{ children: NO_CHILDREN }, { children: { kwarg: [kwarg('20', '2')] } }]);
  });

  test('an update without an old row, as an index identity has it, is a change; the first old row that shows is what was before', () => {
    expect(messageEffects(update('message', null, message('1')))).toMatchObject([{ net: 'changed', before: null, row: message('1') }]);
    const { serialized: _, ...covered } = message('1');
    expect(
      messageEffects(update('message', null, message('1', { serialized: '{}' })), update('message', covered, message('1', { channel_id: 'c2' }))),
    ).toMatchObject([{ net: 'moved', before: covered, row: { channel_id: 'c2' } }]);
  });

  test('a delete that shows no more than the key is still a delete', () => {
    expect(messageEffects(remove('message', { id: '1' }))).toMatchObject([{ net: 'deleted', before: { id: '1' }, row: { id: '1' } }]);
  });
});

describe('a truncate', () => {
  test('of a watched table stands at its place; of any other it is nothing', () => {
    expect(effects(insert('message', message('1')), truncate('reaction'), insert('message', message('2')))).toMatchObject([
      { messageId: '1' },
      { kind: 'truncate', at: 1 },
      { messageId: '2' },
    ]);
    for (const entity of ['message', 'reaction', 'attachment', 'kwarg'] as const)
      expect(effects(truncate(entity))).toMatchObject([{ kind: 'truncate', at: 0 }]);
    expect(effects(truncate('user', 'channel'), truncate())).toEqual([]);
  });

  test('of messages drops what was done to them before, not what comes after', () => {
    expect(
      effects(
        insert('message', message('1')),
        update('message', message('2'), message('2')),
        truncate('message', 'reaction', 'attachment', 'kwarg'),
        insert('message', message('1', { text: 'new' })),
      ),
    ).toMatchObject([
      { kind: 'truncate', at: 2 },
      { kind: 'message', at: 3, messageId: '1', net: 'created', before: null, row: { text: 'new' } },
    ]);
  });

  test('of children takes them from the messages of the transaction, and those alone', () => {
    expect(
      messageEffects(
        insert('message', message('1')),
        insert('reaction', reaction('10', '1')),
        insert('kwarg', kwarg('20', '1')),
        truncate('reaction'),
        insert('reaction', reaction('11', '1')),
      ),
    ).toMatchObject([{ net: 'created', children: { reaction: [reaction('11', '1')], kwarg: [kwarg('20', '1')] } }]);
  });
});

describe('a request in the stream', () => {
  test('stands at its place with what it says', () => {
    expect(effects(insert('message', message('1')), control({ verify: '7' }), update('message', message('2'), message('2')))).toMatchObject([
      { messageId: '1' },
      { kind: 'control', at: 1, request: { verify: '7' } },
      { messageId: '2' },
    ]);
  });

  test.each(['', 'nonsense', 'null', '7', '"text"', '{"a":'])('that is no JSON object (%j) asks for nothing', (content) => {
    expect(effects(control(content))).toEqual([{ kind: 'control', at: 0, place: 0, request: {} }]);
  });
});
