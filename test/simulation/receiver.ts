import type { Client } from '../../src/deliver/sender.js';
import type { Outcome } from '../../src/types.js';
import { parseTold, type Request } from '../../torture/receiver.js';
import type { Owner, VirtualClock } from './clock.js';

export const MANNERS = ['well', 'error', 'lost', 'hang', 'slow', 'busy', 'flaky', 'poison'] as const;
export type Manner = (typeof MANNERS)[number];

const TIMEOUT_MS = 5_000;

interface Flight {
  readonly lane: string | null;
  readonly owner: Owner;
}

/** One endpoint and the way to it. */
export class SimulatedReceiver {
  readonly requests: Request[] = [];
  /** what must never happen, in words */
  readonly faults: string[] = [];
  manner: Manner = 'well';
  readonly #name: string;
  readonly #maxInFlight: number;
  readonly #flights = new Set<Flight>();
  readonly #lanes = new Map<string, string | null>();
  readonly #replays = new Map<string, boolean>();
  readonly #conflates: boolean;
  readonly #count: () => number;

  /** @param count goes up with everything that happens at any receiver */
  constructor(name: string, maxInFlight: number, conflates: boolean, count: () => number) {
    this.#name = name;
    this.#maxInFlight = maxInFlight;
    this.#conflates = conflates;
    this.#count = count;
  }

  /**
   * In which lane a notification goes. One that was told where its message was then, and is read again after that is
   * deleted, is told where it was committed: it has two, and is in one of them by its row, also once its message is back.
   */
  expect(id: string, lane: string, replay: boolean): void {
    this.#replays.set(id, replay);
    this.#lanes.set(id, !this.#lanes.has(id) || this.#lanes.get(id) === lane ? lane : null);
  }

  client(owner: Owner, clock: VirtualClock): Client {
    const own = new Set<Flight>();
    return {
      send: ({ headers, body }, done) => {
        const id = headers[headers.indexOf('webhook-id') + 1] ?? '';
        const flight = { lane: this.#lanes.get(id) ?? null, owner };
        this.#check(flight, id);
        this.#checkMark(id, headers.includes('slackchat-replay'));
        own.add(flight);
        this.#flights.add(flight);
        const told = parseTold(Buffer.concat(body.parts).toString('utf8'));
        // Sent is sent, whatever becomes of the sender.
        const way = latency();
        clock.as(null, () => setTimeout(() => {
          const [outcome, ms] = this.#arrive(id, told);
          clock.as(owner, () => setTimeout(() => {
            this.#flights.delete(flight);
            if (own.delete(flight)) done({ outcome, body: '' });
          }, ms));
        }, way));
      },
      retire: async () => undefined,
      destroy: async () => {
        for (const flight of own) this.#flights.delete(flight);
        own.clear();
      },
    };
  }

  /** Of one process: no more at once than it may, and one of each lane. */
  #check(flight: Flight, id: string): void {
    const own = [...this.#flights].filter(({ owner }) => owner === flight.owner);
    if (own.length >= this.#maxInFlight) this.faults.push(`${own.length + 1} requests at once to ${this.#name}`);
    if (flight.lane !== null && own.some(({ lane }) => lane === flight.lane)) this.faults.push(`${id} was sent to ${this.#name} while another of ${flight.lane} was under way`);
  }

  /** A replay into which something live has collapsed is live. */
  #checkMark(id: string, marked: boolean): void {
    const replay = this.#replays.get(id) === true;
    if (marked !== replay && !(replay && this.#conflates)) this.faults.push(`${id} was sent to ${this.#name} ${marked ? '' : 'un'}marked, and is ${replay ? 'a' : 'no'} replay`);
  }

  #arrive(id: string, body: Request['body']): readonly [Outcome, number] {
    const request: Request = { endpoint: this.#name, path: '/', id, body, at: this.#count(), time: Date.now(), manner: 'well', answeredAt: null };
    this.requests.push(request);
    const manner = this.#mannerOf(body);
    if (manner === 'well' || manner === 'slow' || manner === 'lost') request.answeredAt = this.#count();
    return ANSWERS[manner]();
  }

  #mannerOf(body: Request['body']): Exclude<Manner, 'flaky' | 'poison'> {
    if (this.manner === 'flaky') return Math.random() < 0.5 ? 'error' : 'well';
    // Some messages are never taken, the others always are.
    if (this.manner === 'poison') return (body?.message?.timestamp ?? '').endsWith('3Z') ? 'error' : 'well';
    return this.manner;
  }
}

const latency = (): number => 1 + Math.floor(Math.random() * 20);
const failed = (status: number | null, reason: string, retryAfterMs: number | null = null): Outcome => ({ kind: 'failed', status, reason, retryAfterMs });

/** What the sender learns, and after how long. */
const ANSWERS: Readonly<Record<Exclude<Manner, 'flaky' | 'poison'>, () => readonly [Outcome, number]>> = {
  well: () => [{ kind: 'delivered', status: 200 }, latency()],
  slow: () => [{ kind: 'delivered', status: 200 }, 3_000],
  error: () => [failed(500, 'the endpoint answered 500'), latency()],
  lost: () => [failed(null, 'the connection broke'), latency()],
  hang: () => [failed(null, 'no complete answer'), TIMEOUT_MS],
  busy: () => [failed(429, 'the endpoint answered 429', 1_000), latency()],
};
