import { expect, test } from 'vitest';
import { Allowance, type Share } from '../../src/deliver/allowance.js';

const MEGABYTE = 1024 * 1024;
/** Room for 64 requests to endpoints that answer, and for 32 to slow ones. */
const FLIGHTS = 64 * 16_384;

const settled = async (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** One endpoint with so much to send, as bodies of one size: how many requests are under way, and how many came to an end. */
class Sender {
  readonly share: Share;
  readonly #body: number;
  readonly #order: Sender[];
  underWay = 0;
  toSend: number;

  constructor(allowance: Allowance, toSend: number, body = 100, order: Sender[] = []) {
    this.share = allowance.share();
    this.toSend = toSend;
    this.#body = body;
    this.#order = order;
    this.share.nextBytes = () => body;
    this.share.onTurn = () => this.run();
    this.run();
  }

  run(): void {
    while (this.toSend > 0 && this.share.may()) {
      this.share.depart(this.#body);
      this.toSend -= 1;
      this.underWay += 1;
      this.#order.push(this);
    }
  }

  answer(ms = 5): void {
    this.underWay -= 1;
    this.share.arrive(this.#body, ms, true);
    this.run();
  }

  timeOut(): void {
    this.underWay -= 1;
    this.share.arrive(this.#body, 10_000, false);
    this.run();
  }
}

test('however many hang with all they may have under way, one that answers has a part of the room at once, and the most of it seconds later', () => {
  const allowance = new Allowance(10 * FLIGHTS, MEGABYTE, MEGABYTE);
  const hanging = Array.from({ length: 50 }, () => new Sender(allowance, 64));
  const healthy = new Sender(allowance, 64);
  expect(healthy.underWay).toBeGreaterThan(0);
  for (const { share } of hanging) share.look(3_000);
  healthy.run();
  expect(healthy.underWay).toBe(64);
  // Their time is over: what they send next is among themselves.
  for (const one of hanging) while (one.underWay > 0) one.timeOut();
  for (const one of hanging) one.toSend = 64;
  for (const one of hanging) one.run();
  expect(hanging.reduce((total, { underWay }) => total + underWay, 0)).toBeLessThanOrEqual(320);
  const another = new Sender(allowance, 8);
  expect(another.underWay).toBe(8);
});

test('large bodies to endpoints that hang keep no small one back, and a large one for no longer than some seconds', async () => {
  const allowance = new Allowance(FLIGHTS, MEGABYTE, MEGABYTE);
  const hanging = Array.from({ length: 5 }, () => new Sender(allowance, 1, 8 * MEGABYTE));
  expect(hanging.map(({ underWay }) => underWay)).toEqual([1, 0, 0, 0, 0]);
  const small = new Sender(allowance, 1);
  const large = new Sender(allowance, 1, MEGABYTE);
  expect([small.underWay, large.underWay]).toEqual([1, 0]);
  for (const one of hanging) {
    await settled();
    expect(one.underWay).toBe(1);
      one.share.look(3_000);
  }
  await settled();
  expect(large.underWay).toBe(1);
});

test('an endpoint that answers in time again is no longer among the slow ones', () => {
  const allowance = new Allowance(FLIGHTS, MEGABYTE, MEGABYTE);
  const slow = Array.from({ length: 20 }, () => new Sender(allowance, 640));
  for (const { share } of slow) share.look(3_000);
  const [first] = slow;
  first?.answer(5_000);
  expect(first?.share.crowdedOut).toBe(false);
  first?.answer(5);
  expect(first?.share.crowdedOut).toBe(true);
});

test('where the machine is so busy that all answers take long, nobody is slow for that', () => {
  const allowance = new Allowance(FLIGHTS, MEGABYTE, MEGABYTE);
  const sender = new Sender(allowance, 1_000);
  for (let count = 0; count < 200; count += 1) sender.answer(900);
  sender.share.look(2_000);
  const before = sender.underWay;
  sender.run();
  expect(sender.underWay).toBe(before);
  expect(sender.share.crowdedOut).toBe(true);
});

test('where there is not room for one request of each, they have theirs in turn, some of one after the other', async () => {
  const allowance = new Allowance(FLIGHTS, MEGABYTE, MEGABYTE);
  const order: Sender[] = [];
  const all = Array.from({ length: 1_000 }, () => new Sender(allowance, 20, 100, order));
  while (all.some(({ underWay }) => underWay > 0)) {
    expect(all.reduce((total, { underWay }) => total + underWay, 0)).toBeLessThanOrEqual(64);
    for (const one of all) if (one.underWay > 0) one.answer();
    await settled();
  }
  expect(all.filter(({ toSend }) => toSend > 0)).toEqual([]);
  // Everybody has had a turn before anybody has a third.
  const turns = new Map<Sender, number>();
  for (const one of order.slice(0, 16_000)) turns.set(one, (turns.get(one) ?? 0) + 1);
  expect(turns.size).toBe(1_000);
});

test('parked deliveries are brought back as far as there is room, large ones too, and who found none is asked again', async () => {
  const allowance = new Allowance(FLIGHTS, 4 * MEGABYTE, 8 * MEGABYTE);
  const shares = Array.from({ length: 5 }, () => allowance.share());
  const asked: number[] = [];
  for (const [index, share] of shares.entries()) share.onRoom = () => { asked.push(index); };
  expect(shares.map((share) => share.reserve())).toEqual([MEGABYTE, MEGABYTE, MEGABYTE, MEGABYTE, 0]);
  shares[1]?.giveBack(MEGABYTE);
  await settled();
  expect(asked).toEqual([4]);
  expect(shares[4]?.reserve()).toBe(MEGABYTE);
  // 8 MB of large ones; one alone may be larger than what is left for slow endpoints.
  expect(shares.map((share) => share.reserveLarge(2 * MEGABYTE))).toEqual([true, true, true, true, false]);
  shares[2]?.giveBackLarge(2 * MEGABYTE);
  await settled();
  expect(asked).toEqual([4, 4]);
  expect(shares[4]?.reserveLarge(2 * MEGABYTE)).toBe(true);
});

test('what endpoints that hang have brought back does not keep that of others back', () => {
  const allowance = new Allowance(FLIGHTS, 4 * MEGABYTE, 8 * MEGABYTE);
  const hanging = Array.from({ length: 4 }, () => new Sender(allowance, 1));
  for (const { share } of hanging) {
    expect(share.reserve()).toBe(MEGABYTE);
    expect(share.reserveLarge(2 * MEGABYTE)).toBe(true);
  }
  const healthy = allowance.share();
  expect([healthy.reserve(), healthy.reserveLarge(2 * MEGABYTE)]).toEqual([0, false]);
  for (const { share } of hanging) share.look(3_000);
  expect([healthy.reserve(), healthy.reserveLarge(2 * MEGABYTE)]).toEqual([MEGABYTE, true]);
});
