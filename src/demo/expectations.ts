/** An update notification's body without its token. Keys in the contract's order: they are compared as text. */
export interface Body {
  readonly type: 'update_notification';
  readonly channel: string;
  readonly chat_type: string;
  readonly update_type: 'message_created' | 'message_changed' | 'message_deleted';
  readonly message: { readonly timestamp: string } & Readonly<Record<string, unknown>>;
}

/** What one committed transaction must cause. */
export interface Expected {
  /** the step, in words */
  readonly step: string;
  readonly body: Body;
}

/** A request that a receiver got. */
export interface Arrival {
  /** its webhook-id */
  readonly id: string;
  /** without the token */
  readonly body: Readonly<Record<string, unknown>>;
  /** performance.now() when the last byte was there */
  readonly receivedAt: number;
  /** which bridge process sent it: 1, 2, … */
  readonly run: number;
  /** what it was answered with; 0: nothing (yet) */
  readonly status: number;
}

/** All requests with one webhook-id, in order of arrival. */
export interface Delivery {
  readonly arrivals: readonly Arrival[];
  readonly first: Arrival;
  /** the first that was answered with 2xx */
  readonly accepted: Arrival | undefined;
}

export interface Verdict {
  readonly delivered: ReadonlyMap<Expected, Delivery>;
  /** The lists say what is wrong, a line each; empty when all is well. */
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly disorder: readonly string[];
  readonly badRepeats: readonly string[];
  readonly messages: number;
  /** with the same webhook-id, because the one before was refused or the bridge was killed */
  readonly repeats: number;
}

const accepted = ({ status }: Arrival): boolean => status >= 200 && status < 300;
const text = (value: unknown): string => JSON.stringify(value);

/**
 * Compares what arrived with what must arrive. Knows nothing of the bridge but its contract: one delivery for each
 * expectation, in order for each message, the same webhook-id for repeats, and a payload as of the commit or newer.
 */
export function check(expected: readonly Expected[], arrivals: readonly Arrival[]): Verdict {
  const place = new Map(arrivals.map((arrival, at) => [arrival, at]));
  const position = (arrival: Arrival | undefined): number => (arrival === undefined ? Number.POSITIVE_INFINITY : (place.get(arrival) ?? 0));
  const delivered = new Map<Expected, Delivery>();
  const [missing, unexpected, disorder, badRepeats]: [string[], string[], string[], string[]] = [[], [], [], []];
  const wanted = groupBy(expected, ({ body }) => body.message.timestamp);
  const came = groupBy(deliveriesOf(arrivals), ({ first }) => messageOf(first));

  for (const lane of new Set([...wanted.keys(), ...came.keys()])) {
    const wants = wanted.get(lane) ?? [];
    const { pairs, left } = pair(wants, came.get(lane) ?? []);
    for (const delivery of left) unexpected.push(strayText(delivery, wants));
    let before: Expected | undefined;
    for (const want of wants) {
      const delivery = pairs.get(want);
      if (delivery !== undefined) delivered.set(want, delivery);
      if (delivery?.accepted === undefined) missing.push(`${want.step}: ${describe(want.body)}${delivery === undefined ? '' : ' (came, but was never accepted)'}`);
      if (delivery === undefined) continue;
      const predecessor = before === undefined ? undefined : pairs.get(before);
      if (before !== undefined && predecessor !== undefined && position(predecessor.accepted) > position(delivery.first)) {
        disorder.push(`${want.step}: ${describe(want.body)} came before ${describe(before.body)} was delivered`);
      }
      badRepeats.push(...badRepeatsOf(delivery, want, wants));
      before = want;
    }
  }
  return { delivered, missing, unexpected, disorder, badRepeats, messages: wanted.size, repeats: arrivals.length - deliveriesOf(arrivals).length };
}

export function faultsOf({ missing, unexpected, disorder, badRepeats }: Verdict): readonly string[] {
  return [
    ...missing.map((line) => `missing: ${line}`),
    ...unexpected.map((line) => `unexpected: ${line}`),
    ...disorder.map((line) => `out of order: ${line}`),
    ...badRepeats.map((line) => `wrong repeat: ${line}`),
  ];
}

function deliveriesOf(arrivals: readonly Arrival[]): readonly Delivery[] {
  return [...groupBy(arrivals, ({ id }) => id).values()].flatMap((same) => {
    const [first] = same;
    return first === undefined ? [] : [{ arrivals: same, first, accepted: same.find(accepted) }];
  });
}

interface Pairs {
  readonly pairs: ReadonlyMap<Expected, Delivery>;
  /** that nothing asked for */
  readonly left: readonly Delivery[];
}

/** What is equal belongs together. Payloads newer than their commits are recognized where all fit one to one and in order. */
function pair(wants: readonly Expected[], deliveries: readonly Delivery[]): Pairs {
  const left = new Set(deliveries);
  const equal = new Map<Expected, Delivery>();
  for (const want of wants) {
    const delivery = [...left].find(({ first }) => text(first.body) === text(want.body));
    if (delivery === undefined) continue;
    equal.set(want, delivery);
    left.delete(delivery);
  }
  if (left.size === 0) return { pairs: equal, left: [] };
  const inOrder = new Map<Expected, Delivery>();
  for (const [at, delivery] of deliveries.entries()) {
    const want = wants[at];
    if (want === undefined || !fits(delivery.first, want, wants)) return { pairs: equal, left: [...left] };
    inOrder.set(want, delivery);
  }
  return { pairs: inOrder, left: [] };
}

/**
 * A payload is never older than its commit; it may be newer. The message's own columns and its children are read at
 * different moments, so each of the two may show what a later commit made of it.
 */
function fits({ body }: Arrival, want: Expected, wants: readonly Expected[]): boolean {
  const states = wants.slice(wants.indexOf(want)).map((later) => later.body.message);
  return states.some((own) => states.some((children) => text({ ...want.body, message: merge(own, children) }) === text(body)));
}

function merge({ timestamp, user, content }: Body['message'], { timestamp: _t, user: _u, content: _c, ...children }: Body['message']): Body['message'] {
  return { timestamp, ...(user === undefined ? {} : { user }), ...(content === undefined ? {} : { content }), ...children };
}

function badRepeatsOf({ arrivals }: Delivery, want: Expected, wants: readonly Expected[]): readonly string[] {
  return arrivals.slice(1).flatMap((arrival, at) => {
    const before = arrivals[at];
    if (before === undefined) return [];
    if (!fits(arrival, want, wants)) return [`${want.step}: ${arrival.id} came again with other content: ${text(arrival.body)}`];
    const reason = !accepted(before) || arrival.run > before.run;
    return reason ? [] : [`${want.step}: ${arrival.id} came again although it had been accepted`];
  });
}

function strayText({ first }: Delivery, wants: readonly Expected[]): string {
  const twin = wants.some(({ body }) => text(body) === text(first.body));
  return `${twin ? 'the same again with another webhook-id: ' : ''}${text(first.body)} (${first.id})`;
}

const messageOf = ({ body }: Arrival): string => {
  const { message } = body;
  return typeof message === 'object' && message !== null && 'timestamp' in message ? String(message.timestamp) : '';
};

/** Map.groupBy, which Node 20 does not have. */
function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

const describe = ({ update_type: kind, message }: Body): string => `${kind} ${text(message)}`;
