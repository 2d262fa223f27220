import { expect, onTestFinished, test } from 'vitest';
import { Allowance } from '../../src/deliver/allowance.js';
import { EndpointClient } from '../../src/deliver/attempt.js';
import type { Note } from '../../src/deliver/delivery.js';
import { Egress } from '../../src/deliver/egress.js';
import { Endpoint } from '../../src/deliver/endpoint.js';
import type { EndpointEvents } from '../../src/deliver/endpoint-events.js';
import type { Parking } from '../../src/deliver/parking.js';
import type { Webhook } from '../../src/types.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { startReceiver, type Receiver } from '../support/receiver.js';

const nothing = (): void => undefined;
const events: EndpointEvents = { attempted: nothing, parked: nothing, dead: nothing, collapsed: nothing, failing: nothing, recovered: nothing, gone: nothing, storeFault: nothing };

function note(name: string, lsn: bigint): Note {
  return { notificationId: name, lsn, seq: 0, channelId: 'c', messageId: null, updateType: null, repeated: false, replay: false, body: '{"type":"x"}' };
}

/** An endpoint whose receiver answers nothing yet, and what it parks, in order. */
async function hangingEndpoint(maxInFlight = 8): Promise<{ endpoint: Endpoint; hook: Receiver; parked: string[]; permitted: { now: boolean } }> {
  const hook = await startReceiver();
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  const parked: string[] = [];
  const parking: Parking = {
    async park(_webhookId, notes) {
      parked.push(...notes.map(({ notificationId }) => notificationId));
      return [];
    },
    waiting: async () => [],
    due: async () => [], finish: async () => [], expire: async () => 0, nextDueAt: async () => null, lanes: async () => null, holding: async () => new Set(),
  };
  const webhook: Webhook = {
    id: '1', endpoint: hook.url, token: null, secret: null, chatTypes: null, updateTypes: null,
    ordering: 'message', conflate: false, maxInFlight, enabled: true, verified: true, failureNoted: false, awaited: false, deliverFrom: null, completeSince: null,
  };
  const permitted = { now: true };
  const egress = new Egress({ mode: 'private', allow: [], deny: [] });
  const options = { timing: { baseMs: 1_000, maxMs: 1_000, maxAgeMs: 1e9 }, timeoutMs: 10_000, connect: (endpoint: string, connections: number) => new EndpointClient(endpoint, connections, 10_000, egress), token: 't', userAgent: 'u', shard: null, stream: { repeatedBefore: () => 0n, storedBefore: () => 0n, next: () => 0n }, allowance: new Allowance(1e6, 1e6, 1e6), permit: { holds: () => permitted.now }, onRun: () => undefined };
  const endpoint = new Endpoint(webhook, options, parking, events, []);
  onTestFinished(async () => {
    await endpoint.abandon();
    gate.open();
    await hook.close();
  });
  return { endpoint, hook, parked, permitted };
}

test('what is under way is parked with, and before, what is parked behind it: after a crash the rows alone keep the order', async () => {
  const { endpoint, hook, parked } = await hangingEndpoint();
  endpoint.accept(note('first', 1n), 'lane', 0, nothing);
  endpoint.accept(note('alone', 2n), 'other lane', 0, nothing);
  endpoint.accept(note('second', 3n), 'lane', 0, nothing);
  await hook.waitForNotifications(2);
  endpoint.relieve();
  await eventually(() => expect(parked).toEqual(['first', 'second']));
});

test('what comes while all of an endpoint\'s lanes go through the rows does not get there before what is under way', async () => {
  const { endpoint, hook, parked } = await hangingEndpoint();
  endpoint.accept(note('first', 1n), 'lane', 0, nothing);
  await hook.waitForNotifications(1);
  endpoint.wake();
  endpoint.accept(note('second', 2n), 'lane', 0, nothing);
  endpoint.accept(note('third', 3n), 'lane', 0, nothing);
  await eventually(() => expect(parked).toEqual(['first', 'second', 'third']));
});

test('no request is begun while another instance may lead; what waited goes as soon as this one does again', async () => {
  const { endpoint, hook, permitted } = await hangingEndpoint();
  endpoint.accept(note('before', 1n), 'lane', 0, nothing);
  await hook.waitForNotifications(1);
  permitted.now = false;
  endpoint.accept(note('meanwhile', 2n), 'other lane', 0, nothing);
  expect([endpoint.inFlight, endpoint.queued]).toEqual([1, 1]);
  permitted.now = true;
  endpoint.lookAgain();
  expect([endpoint.inFlight, endpoint.queued]).toEqual([2, 0]);
  await hook.waitForNotifications(2);
});

test('a replay goes when nothing else can, but for what is behind it in its lane, which goes with it', async () => {
  const { endpoint, hook } = await hangingEndpoint(1);
  const gates = [closedGate(), closedGate()];
  let begun = 0;
  // The first and the second are held until more waits.
  hook.respond = () => ({ status: 200, delayUntil: gates[begun++]?.opened ?? Promise.resolve() });
  const again = (name: string, lsn: bigint, lane: string): void => endpoint.accept({ ...note(name, lsn), replay: true }, lane, null, nothing);
  for (const [index, lane] of ['a', 'b', 'c', 'd'].entries()) again(`replay ${lane}`, BigInt(index + 1), lane);
  await hook.waitForNotifications(1);
  endpoint.accept(note('live', 5n), 'e', 0, nothing);
  endpoint.accept(note('live c', 6n), 'c', 0, nothing);
  gates[0]?.open();
  await hook.waitForNotifications(2);
  endpoint.accept(note('later', 7n), 'f', 0, nothing);
  gates[1]?.open();
  await hook.waitForNotifications(7);
  expect(hook.notifications.map(({ headers }) => headers['webhook-id'])).toEqual(['replay a', 'live', 'replay c', 'later', 'live c', 'replay b', 'replay d']);
});

test('replays that wait for long behind what is live are parked, and nothing else is', async () => {
  const { endpoint, hook, parked } = await hangingEndpoint(1);
  const gate = closedGate();
  hook.respond = (request) => ({ status: 200, delayUntil: request.headers['webhook-id'] === 'first' ? gate.opened : Promise.resolve() });
  endpoint.accept(note('first', 1n), 'a', 0, nothing);
  await hook.waitForNotifications(1);
  endpoint.accept({ ...note('replay', 2n), replay: true }, 'b', null, nothing);
  endpoint.sweep(1_500);
  endpoint.accept(note('live', 3n), 'c', 0, nothing);
  endpoint.sweep(600);
  await eventually(() => expect(parked).toContain('replay'));
  gate.open();
  await hook.waitFor(({ headers }) => headers['webhook-id'] === 'live');
  expect(parked.filter((name) => name !== 'first')).toEqual(['replay']);
});
