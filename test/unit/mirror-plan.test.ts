import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MIRROR_OFF, planMirror, unusable, type AppWebhook, type MirrorRow } from '../../src/store/mirror-plan.js';

const app = (id: string, endpoint: string | null, verified = false): AppWebhook => ({ id, endpoint, verified });
const row = (id: string, endpoint: string, over: Partial<MirrorRow> = {}): MirrorRow => ({ id, endpoint, sourceId: id, verified: true, enabled: true, disabledReason: null, ...over });
const nothing = new Map<string, boolean>();

describe('rows of the application', () => {
  test('become rows of the bridge', () => {
    expect(planMirror([app('1', 'x')], [], nothing, false).actions).toEqual([{ kind: 'insert', sourceId: '1', endpoint: 'x' }]);
  });

  test('with another address move theirs, and are challenged', () => {
    const plan = planMirror([app('1', 'y', true)], [row('1', 'x')], new Map([['1', true]]), false);
    expect(plan.actions).toEqual([{ kind: 'move', webhookId: '1', sourceId: '1', endpoint: 'y', enable: false }]);
    expect([...plan.challenge]).toEqual(['1']);
  });

  test('that are gone take theirs with them', () => {
    expect(planMirror([], [row('1', 'x'), row('2', 'y', { sourceId: null })], nothing, false).actions).toEqual([{ kind: 'remove', webhookId: '1' }]);
  });

  test('that swap addresses swap rows, so that what is parked stays with its address', () => {
    const plan = planMirror([app('1', 'y', true), app('2', 'x', true)], [row('1', 'x'), row('2', 'y')], nothing, false);
    expect(plan.actions).toEqual([
      { kind: 'adopt', webhookId: '2', sourceId: '1' },
      { kind: 'adopt', webhookId: '1', sourceId: '2' },
    ]);
    expect(plan.challenge.size).toBe(0);
  });

  test('deleted and inserted again keep what is parked, and are challenged', () => {
    const plan = planMirror([app('2', 'x')], [row('1', 'x')], new Map([['2', false]]), false);
    expect(plan.actions).toEqual([{ kind: 'adopt', webhookId: '1', sourceId: '2' }, { kind: 'unverify', webhookId: '1' }]);
    expect([...plan.challenge]).toEqual(['1']);
  });
});

describe('a save', () => {
  test('of a verified row changes nothing', () => {
    const plan = planMirror([app('1', 'x', true)], [row('1', 'x')], new Map([['1', true]]), false);
    expect([plan.actions, plan.challenge.size, plan.doubted.size]).toEqual([[], 0, 0]);
  });

  test('that leaves it unverified asks for a challenge, even if the application has ticked it again by now', () => {
    for (const ticked of [false, true]) {
      const plan = planMirror([app('1', 'x', ticked)], [row('1', 'x')], new Map([['1', false]]), false);
      expect(plan.actions).toEqual([{ kind: 'unverify', webhookId: '1' }]);
      expect([...plan.challenge]).toEqual(['1']);
    }
  });

  test('takes an endpoint back that had answered 410, but not one that a person disabled', () => {
    const gone = row('1', 'x', { enabled: false, disabledReason: 'the endpoint answered 410' });
    expect(planMirror([app('1', 'x', true)], [gone], new Map([['1', true]]), false).actions).toEqual([{ kind: 'enable', webhookId: '1' }, { kind: 'unverify', webhookId: '1' }]);
    expect(planMirror([app('1', 'x', true)], [gone], nothing, false).actions).toEqual([]);
    expect(planMirror([app('1', 'x', true)], [row('1', 'x', { enabled: false })], new Map([['1', true]]), false).actions).toEqual([]);
  });
});

describe('a row that was registered by hand', () => {
  const own = row('7', 'x', { sourceId: null });

  test('is the endpoint of the application\'s row, unchanged, and is made sure of when that is unticked', () => {
    const plan = planMirror([app('1', 'x')], [own], new Map([['1', false]]), false);
    expect([plan.actions, plan.challenge.size, [...plan.doubted]]).toEqual([[], 0, ['7']]);
  });

  test('takes the place of a mirrored one whose address becomes the same', () => {
    expect(planMirror([app('1', 'x', true)], [own, row('1', 'old')], nothing, false).actions).toEqual([{ kind: 'remove', webhookId: '1' }]);
  });
});

test('what was disabled because the mirror was off, or the address could not be used, comes back without a new challenge', () => {
  for (const disabledReason of [MIRROR_OFF, unusable('a rule')]) {
    const plan = planMirror([app('1', 'x', true)], [row('1', 'x', { enabled: false, disabledReason })], nothing, true);
    expect([plan.actions, plan.challenge.size, plan.doubted.size]).toEqual([[{ kind: 'enable', webhookId: '1' }], 0, 0]);
  }
});

test('at the beginning a verification that the application does not know of is made sure of', () => {
  expect([...planMirror([app('1', 'x')], [row('1', 'x')], nothing, true).doubted]).toEqual(['1']);
  expect([...planMirror([app('1', 'x')], [row('1', 'x')], nothing, false).doubted]).toEqual([]);
});

test('whatever the tables hold, afterwards every address of the application has exactly one row, and one pass is enough', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const apps = fc.uniqueArray(fc.record({ id: fc.constantFrom('1', '2', '3', '4', '5', '6'), endpoint: names, verified: fc.boolean() }), { selector: ({ id }) => id });
  const rows = fc
    .uniqueArray(fc.record({ endpoint: names, sourceId: fc.option(fc.constantFrom('1', '2', '3', '4', '5', '6')), verified: fc.boolean() }), { selector: ({ endpoint }) => endpoint })
    .map((list) => list.map((one, index) => row(`w${index}`, one.endpoint, { ...one, sourceId: list.findIndex(({ sourceId }) => sourceId === one.sourceId) === index ? one.sourceId : null })));
  fc.assert(
    fc.property(apps, rows, (source, before) => {
      const after = perform(before, planMirror(source, before, nothing, false).actions);
      expect(new Set(after.map(({ endpoint }) => endpoint)).size).toBe(after.length);
      for (const { endpoint } of source) expect(after.filter((one) => one.endpoint === endpoint)).toHaveLength(1);
      const ids = new Set(source.map(({ id }) => id));
      const sources = after.flatMap(({ sourceId }) => sourceId ?? []);
      expect(new Set(sources).size).toBe(sources.length);
      for (const id of sources) expect(ids).toContain(id);
      for (const own of before.filter(({ sourceId }) => sourceId === null)) expect(after).toContainEqual(own);
      expect(planMirror(source, after, nothing, false).actions).toEqual([]);
    }),
  );
});

/** What the store does with a plan. */
function perform(rows: readonly MirrorRow[], actions: ReturnType<typeof planMirror>['actions']): MirrorRow[] {
  let left = [...rows];
  const update = (id: string, change: Partial<MirrorRow>): void => {
    left = left.map((one) => (one.id === id ? { ...one, ...change } : one));
  };
  for (const action of actions) if (action.kind === 'adopt') update(action.webhookId, { sourceId: null });
  for (const action of actions) {
    if (action.kind === 'remove') left = left.filter(({ id }) => id !== action.webhookId);
    else if (action.kind === 'move') update(action.webhookId, { endpoint: action.endpoint ?? '', verified: false });
    else if (action.kind === 'adopt') update(action.webhookId, { sourceId: action.sourceId });
    else if (action.kind === 'insert') left.push(row(`new ${action.sourceId}`, action.endpoint ?? '', { sourceId: action.sourceId }));
    expect(new Set(left.flatMap(({ sourceId }) => sourceId ?? [])).size).toBe(left.flatMap(({ sourceId }) => sourceId ?? []).length);
  }
  return left;
}
