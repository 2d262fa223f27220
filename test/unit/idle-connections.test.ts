import { expect, test } from 'vitest';
import { IdleConnections, type Resting } from '../../src/deliver/idle-connections.js';

/** Clients that are used at given times, and those that had to connect for it. */
function use(idle: IdleConnections, times: readonly { readonly at: number; readonly who: string }[]): readonly string[] {
  const known = new Map<string, { connections: number; restsSince: number; restedFor: number } & Resting>();
  const connected: string[] = [];
  for (const { at, who } of times) {
    const one = known.get(who) ?? { connections: 0, restsSince: Number.NEGATIVE_INFINITY, restedFor: Number.POSITIVE_INFINITY, rest() { this.connections = 0; } };
    known.set(who, one);
    idle.remove(one);
    one.restedFor = at - one.restsSince;
    if (one.connections === 0) connected.push(who);
    one.connections = 1;
    one.restsSince = at;
    idle.add(one);
    expect(idle.count).toBeLessThanOrEqual(30);
  }
  return connected;
}

test('where all endpoints are used in turn, connections are kept of as many as may be', () => {
  const rounds = Array.from({ length: 100 }, (_item, index) => ({ at: index, who: `e${index % 20}` }));
  // Ten of twenty connect once, the others each time.
  expect(use(new IdleConnections(30), rounds)).toHaveLength(10 + 10 * 5);
});

test('one that is used often keeps its connection, whatever comes between', () => {
  const times = Array.from({ length: 1_000 }, (_item, index) => ({ at: index, who: index % 2 === 0 ? 'often' : `once${index}` }));
  const connected = use(new IdleConnections(30), times);
  expect(connected.filter((who) => who === 'often').length).toBeLessThanOrEqual(2);
});

test('those that are used no more leave', () => {
  const times = Array.from({ length: 200 }, (_item, index) => ({ at: index, who: index < 10 ? `once${index}` : `e${index % 5}` }));
  // Of the five some connect once more before their place is free.
  expect(use(new IdleConnections(30), times).length).toBeLessThan(40);
});
