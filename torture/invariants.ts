/**
 * What must hold between what was committed and what one endpoint received, whatever happened in between. Pure; used
 * by the torture run and by the simulation.
 */

/** One notification that is meant for the endpoint. */
export interface Due {
  readonly key: string;
  readonly lane: string;
  /** index of its commit */
  readonly commit: number;
  /** false: the rules allow that it stays away */
  readonly required: boolean;
  /** false: it may come for the first time after later ones of its lane, because another stood for it before */
  readonly ordered: boolean;
  /** the endpoint did not count at that time (not verified, disabled): whether and in which order it comes is open */
  readonly exempt: boolean;
  /**
   * What it shows is deleted later. Told after that, it is as its own transaction had it, though something newer may
   * have been shown before: there is no newer state to be read any more, and the deletion follows.
   */
  readonly gone: boolean;
  /** may come under several ids */
  readonly split: boolean;
}

/**
 * The states that a payload can be showing: for each thing in it (a row, a child) the versions that look like that.
 * Versions count from 0 in the order of the commits.
 */
export type Shown = ReadonlyMap<string, readonly number[]>;

export interface Receipt {
  /** the `webhook-id` */
  readonly id: string;
  /** the notification that it is; null: none that was ever committed */
  readonly key: string | null;
  /** place in the transaction */
  readonly place: number;
  readonly channelId: string;
  /** in the order of arrival */
  readonly at: number;
  /** when it was taken; null: it was not */
  readonly answeredAt: number | null;
  /** the message that it shows; null: a deletion, or about a channel as a whole */
  readonly subject: string | null;
  readonly shown: Shown;
}

export interface Committed {
  /** how many versions of this thing had begun by that commit, less one */
  version(thing: string, commit: number): number;
  /** the version that is shown by the last notification, if this is it; null: no matter which */
  last(thing: string, due: Due): number | null;
}

export type Rule = 'invented' | 'unwanted' | 'missing' | 'two ids' | 'no such state' | 'out of order' | 'overtaken' | 'older than its commit' | 'older than before' | 'older repeat' | 'not the last state';

export interface Violation {
  readonly rule: Rule;
  readonly key: string | null;
  readonly lane: string | null;
  readonly detail: string;
}

export interface Evidence {
  readonly dues: readonly Due[];
  readonly receipts: readonly Receipt[];
  readonly committed: Committed;
}

export function violations({ dues, receipts, committed }: Evidence): readonly Violation[] {
  const byKey = new Map(dues.map((due) => [due.key, due]));
  const known: Known[] = [];
  const found: Violation[] = [];
  for (const receipt of receipts) {
    const due = byKey.get(receipt.key ?? '');
    if (due !== undefined) known.push({ due, receipt });
    else found.push({ rule: receipt.key === null ? 'invented' : 'unwanted', key: receipt.key, lane: null, detail: `webhook-id ${receipt.id}` });
  }
  known.sort((a, b) => a.receipt.at - b.receipt.at);
  found.push(...missing(dues, known), ...ids(known));
  for (const lane of groupBy(known, ({ due }) => due.lane).values()) found.push(...order(lane));
  for (const one of groupBy(known, ({ receipt }) => receipt.id).values()) found.push(...rising(one, 'older repeat'));
  found.push(...states(known, committed));
  return found;
}

interface Known {
  readonly due: Due;
  readonly receipt: Receipt;
}

/** No committed change is missing: each was taken at least once. */
function missing(dues: readonly Due[], known: readonly Known[]): readonly Violation[] {
  const taken = new Set(known.filter(({ receipt }) => receipt.answeredAt !== null).map(({ due }) => due.key));
  return dues.filter((due) => due.required && !taken.has(due.key)).map((due) => violation('missing', due, 'never taken by the endpoint'));
}

/** Repeats carry the same id, and two notifications never share one. */
function ids(known: readonly Known[]): readonly Violation[] {
  const found: Violation[] = [];
  for (const [{ due }, ...rest] of nonEmpty(groupBy(known, (one) => one.receipt.id))) {
    const other = rest.find((one) => one.due.key !== due.key);
    if (other !== undefined) found.push(violation('two ids', due, `its webhook-id also stands for ${other.due.key}`));
  }
  for (const [{ due, receipt }, ...rest] of nonEmpty(groupBy(known, (one) => one.due.key))) {
    const other = rest.find((one) => one.receipt.id !== receipt.id);
    if (other !== undefined && !due.split) found.push(violation('two ids', due, `came as ${receipt.id} and as ${other.receipt.id}`));
  }
  return found;
}

/** The notifications of a lane begin in the order of the commits, each after the one before it was taken. */
function order(lane: readonly Known[]): readonly Violation[] {
  const found: Violation[] = [];
  const firsts = [...nonEmpty(groupBy(lane.filter(({ due }) => due.ordered && !due.exempt), ({ receipt }) => receipt.id))];
  let newest: Known | null = null;
  const before: { readonly first: Known; readonly takenAt: number | null }[] = [];
  for (const all of firsts) {
    const [first] = all;
    if (newest !== null && isBefore(first, newest)) found.push(violation('out of order', first.due, `came first after ${newest.due.key}`));
    else newest = first;
    const held = before.find((one) => isBefore(one.first, first) && one.takenAt !== null && one.takenAt > first.receipt.at);
    if (held !== undefined) found.push(violation('overtaken', held.first.due, `${first.due.key} was sent before it was taken`));
    const takenAt = all.reduce<number | null>((least, { receipt }) => (receipt.answeredAt === null || (least !== null && least < receipt.answeredAt) ? least : receipt.answeredAt), null);
    before.push({ first, takenAt });
    // Long lanes: what was taken long ago cannot be overtaken any more.
    if (before.length > 200) before.shift();
  }
  return found;
}

function isBefore(a: Known, b: Known): boolean {
  return a.due.commit === b.due.commit ? a.receipt.place < b.receipt.place : a.due.commit < b.due.commit;
}

/** No state is older than its commit, none older than what came before, and the last one is what the database has. */
function states(known: readonly Known[], committed: Committed): readonly Violation[] {
  const found: Violation[] = [];
  const telling = known.filter(({ receipt }) => receipt.subject !== null);
  for (const { due, receipt } of telling) {
    for (const [thing, versions] of receipt.shown) {
      const least = committed.version(thing, due.commit);
      const newest = versions.at(-1);
      if (newest === undefined) found.push(violation('no such state', due, `${thing} never looked like that`));
      else if (newest < least) found.push(violation('older than its commit', due, `${thing}: version ${newest}, and ${least} was committed with it or before`));
    }
  }
  // A message that moves between channels is in two lanes where order is kept by channel.
  for (const list of groupBy(telling, ({ due, receipt }) => `${due.lane} ${receipt.subject ?? ''}`).values()) {
    const firsts = [...nonEmpty(groupBy(list, ({ receipt }) => receipt.id))].map(([first]) => first);
    found.push(...rising(firsts.filter(({ due }) => !due.exempt), 'older than before'));
    // Both for who keeps every request and for who drops repeats.
    for (const last of new Set([list.at(-1), firsts.at(-1)])) if (last !== undefined) found.push(...lastState(last, committed));
  }
  return found;
}

/** Versions can be chosen among those that each payload may be showing so that they never go down. */
function rising(list: readonly Known[], rule: Rule): readonly Violation[] {
  const reached = new Map<string, number>();
  const found: Violation[] = [];
  for (const { due, receipt } of list) {
    for (const [thing, versions] of receipt.shown) {
      const before = reached.get(thing) ?? 0;
      const version = versions.find((one) => one >= before);
      if (version === undefined && due.gone) continue;
      if (version === undefined) found.push(violation(rule, due, `${thing}: version ${String(versions.at(-1) ?? 'none')} after ${before}; webhook-id ${receipt.id}`));
      else reached.set(thing, version);
    }
  }
  return found;
}

function lastState({ due, receipt }: Known, committed: Committed): readonly Violation[] {
  const found: Violation[] = [];
  for (const [thing, versions] of receipt.shown) {
    const final = committed.last(thing, due);
    if (final !== null && versions.length > 0 && !versions.includes(final)) found.push(violation('not the last state', due, `${thing}: version ${String(versions.at(-1))} of ${final}`));
  }
  return found;
}

function violation(rule: Rule, due: Due, detail: string): Violation {
  return { rule, key: due.key, lane: due.lane, detail };
}

function groupBy<T>(list: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

function* nonEmpty<T>(groups: ReadonlyMap<string, readonly T[]>): Iterable<readonly [T, ...T[]]> {
  for (const [first, ...rest] of groups.values()) if (first !== undefined) yield [first, ...rest];
}
