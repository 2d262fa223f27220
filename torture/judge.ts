import { commitAt, eventKey, microseconds, type Event, type History, type Kind, type MessageHistory } from './history.js';
import { violations, type Committed, type Due, type Receipt, type Violation } from './invariants.js';
import type { Request, Told } from './receiver.js';

export interface EndpointFacts {
  readonly name: string;
  readonly webhookId: string;
  readonly ordering: 'message' | 'channel';
  readonly chatTypes: readonly string[] | null;
  readonly updateTypes: readonly string[] | null;
  /** what waits about a message collapses into its net effect */
  readonly conflate: boolean;
  /** what was done to it that can make it miss something: until when everything had been settled */
  readonly outages: readonly Outage[];
  readonly requests: readonly Request[];
}

export interface Outage {
  /** milliseconds since 1970 */
  readonly time: number;
  /** the slot had confirmed so much before it began */
  readonly confirmed: bigint;
}

export interface LostSlot {
  /** what the slot had confirmed before */
  readonly confirmed: bigint;
  /** where the new one begins; null: there is none */
  remade: bigint | null;
}

/** Of several things that were done to an endpoint of late any can be the cause. */
const RECENT_MS = 3_000;

/** A stretch of commits, from exclusive to inclusive, whose notifications an endpoint may miss. */
type Gap = readonly [number, number];

export function judge(history: History, endpoint: EndpointFacts, lostSlots: readonly LostSlot[]): readonly Violation[] {
  const gaps = [...outages(history, endpoint), ...missed(history, lostSlots)];
  const dues = history.events.filter((event) => addressed(event, endpoint)).map((event) => toDue(event, endpoint, gaps, history));
  const merged = [...new Map(dues.map((due) => [due.key, due])).values()];
  const events = new Map(history.events.map((event) => [event.key, event]));
  const effects = endpoint.conflate ? byPlace(history.events) : null;
  const receipts = endpoint.requests.filter((request) => !announcesLaterChannel(request, history, events)).map((request) => toReceipt(request, history, events, effects));
  const found = violations({ dues: merged, receipts, committed: committedFor(history, merged) });
  const net = effects === null ? [] : netEffects(history, merged, receipts, events);
  return [...found.filter(({ rule, key }) => effects === null || rule !== 'missing' || key?.includes(' message ') !== true), ...net, ...deletions(endpoint, history, events)];
}

/** By commit, message and channel: what several collapsed into has the id of the last of them, and the kind of all. */
function byPlace(events: readonly Event[]): ReadonlyMap<string, Event> {
  return new Map(events.flatMap((event) => (event.messageId === null ? [] : [[placeKey(event.commit, event.messageId, event.channelId), event]])));
}

function placeKey(commit: number, messageId: string, channelId: string): string {
  return `${commit} ${messageId} ${channelId}`;
}

/**
 * Of each message in each channel: where it is, that it is there was taken last; where it is not, that it went, if anything of
 * it was taken there. A change can be told in the channel to which its message moves later.
 */
function netEffects(history: History, dues: readonly Due[], receipts: readonly Receipt[], events: ReadonlyMap<string, Event>): readonly Violation[] {
  const last = new Map<string, Due>();
  for (const due of dues) {
    const id = messageOf(due.key);
    const place = id === null ? null : `${id} in ${events.get(due.key)?.channelId ?? ''}`;
    if (place !== null && (last.get(place)?.commit ?? -1) <= due.commit) last.set(place, due);
  }
  const taken = new Map<string, Receipt>(receipts.toSorted((a, b) => a.at - b.at).flatMap((receipt) => {
    const id = messageOf(receipt.key ?? '');
    return id === null || receipt.answeredAt === null ? [] : [[`${id} in ${receipt.channelId}`, receipt] as [string, Receipt]];
  }));
  return [...last].flatMap(([place, due]): readonly Violation[] => {
    const id = messageOf(due.key);
    const there = !due.key.includes(' message_deleted ');
    // A TRUNCATE of the table is told of channels.
    if (!due.required || due.split || (there && history.messages.get(id ?? '')?.goneAt !== null)) return [];
    const shown = taken.get(place);
    if (there ? shown?.subject === id : shown === undefined || shown.subject === null) return [];
    return [{ rule: 'missing', key: due.key, lane: due.lane, detail: there ? 'that it is there was not the last that was taken' : 'that it went was not the last that was taken' }];
  });
}

export function messageOf(key: string): string | null {
  return /message (?<id>\S+)/u.exec(key)?.groups?.['id'] ?? null;
}

/** When it was not active, and how far back that reaches. */
function outages(history: History, endpoint: EndpointFacts): readonly Gap[] {
  const gaps: Gap[] = [];
  let from: number | null = -1;
  for (const { commit, active, gone } of history.webhooks.get(endpoint.webhookId) ?? []) {
    if (active && from !== null) {
      gaps.push([from, commit]);
      from = null;
    } else if (!active && gone) {
      // What waited is dropped, also of an endpoint that was not active at that moment.
      from = -1;
    } else if (!active && from === null) {
      from = reach(history, endpoint, commit);
    }
  }
  if (from !== null) gaps.push([from, history.commits.length]);
  return gaps;
}

/** How far back what made it inactive with this commit can reach. */
function reach(history: History, { outages: declared }: EndpointFacts, commit: number): number {
  const { time = 0, end = 0n } = history.commits[commit] ?? {};
  const before = declared.filter((outage) => outage.confirmed <= end);
  const recent = before.filter((outage) => outage.time > time - RECENT_MS);
  const causes = recent.length > 0 ? recent : before.slice(-1);
  // Nobody did anything to it: then nothing is excused but what is committed while it lasts.
  return causes.reduce((least, { confirmed }) => Math.min(least, lastUpTo(history, confirmed)), commit - 1);
}

/** What the slot lost. It ends where every channel is announced. */
function missed(history: History, lostSlots: readonly LostSlot[]): readonly Gap[] {
  return lostSlots.map(({ confirmed, remade }): Gap => {
    const from = lastUpTo(history, confirmed);
    return [from, remade === null ? history.commits.length : (history.resyncs.find((commit) => (history.commits[commit]?.end ?? 0n) > remade) ?? from)];
  });
}

/** @returns the last commit that ends there or before */
function lastUpTo({ commits }: History, lsn: bigint): number {
  const next = commitAt(commits, lsn);
  return (next === -1 ? commits.length : next) - 1;
}

function addressed(event: Event, { webhookId, chatTypes, updateTypes }: EndpointFacts): boolean {
  if (event.webhookId !== null && event.webhookId !== webhookId) return false;
  if (chatTypes !== null && event.chatType !== null && !chatTypes.includes(event.chatType) && !event.channelGoes && !event.elsewhere) return false;
  return updateTypes === null || event.messageId === null || event.replay || updateTypes.includes(event.kind);
}

function toDue(event: Event, { ordering, chatTypes, conflate }: EndpointFacts, gaps: readonly Gap[], history: History): Due {
  const { key, commit, split } = event;
  const exempt = gaps.some(([from, to]) => commit > from && commit <= to);
  // Once its channel is gone its chat type may not be known any more: then everybody is told.
  const wanted = chatTypes === null || (event.chatType !== null && chatTypes.includes(event.chatType) && !event.elsewhere);
  const lane = event.elsewhere && ordering === 'channel' ? `elsewhere:${key}` : ordering === 'channel' || event.messageId === null ? `channel:${event.channelId}` : `message:${event.messageId}`;
  const gone = (history.messages.get(event.messageId ?? '')?.goneAt ?? null) !== null;
  // What had collapsed with later ones, or come to nothing, before a crash can come by itself after it: in the state that is
  // read then. So the states are held to their order, not the notifications.
  const collapsible = conflate && event.messageId !== null;
  return { key, commit, lane, exempt, split, gone, required: wanted && !exempt && !event.dispensable, ordered: !event.dispensable && !collapsible && (!event.held || ordering === 'message') };
}

/** "Every channel" is what there is when it is told: one that was made meanwhile is among them. */
function announcesLaterChannel(request: Request, history: History, events: ReadonlyMap<string, Event>): boolean {
  const key = keyOf(request, history);
  return key !== null && !events.has(key) && request.body?.message === undefined && history.announcing.has(Number.parseInt(key, 10)) && history.channels.has(request.body?.channel ?? '');
}

/** Instances that share the messages name kind, part and message in place of the place in the transaction. */
const ID = /^\d+-(?<lsn>[0-9A-F]{16})-(?:(?<kind>created|changed|deleted|replay)-)?(?<place>\d+)(?:-.+)?$/u;

function toReceipt(request: Request, history: History, events: ReadonlyMap<string, Event>, effects: ReadonlyMap<string, Event> | null): Receipt {
  const { id, at, answeredAt, body } = request;
  const { kind, place: number = '0' } = ID.exec(id)?.groups ?? {};
  // A message that moves goes before it comes.
  const place = kind === undefined ? Number(number) : Number(number) * 2 + (kind === 'deleted' ? 0 : 1);
  const key = keyOf(request, history) ?? '';
  const event = events.get(key) ?? effects?.get(placeKey(Number.parseInt(key, 10), messageOf(key) ?? '', body?.channel ?? ''));
  const none = { id, place, channelId: body?.channel ?? '', at, answeredAt, subject: null, shown: new Map<string, readonly number[]>() };
  if (event === undefined || body === null) return { ...none, key: null };
  const message = history.messages.get(event.messageId ?? '');
  if (message === undefined || body.message === undefined || body.update_type === 'message_deleted') return { ...none, key: event.key };
  return { ...none, key: event.key, subject: message.id, shown: shownBy(body.message, message) };
}

/** @returns null when no commit is behind it */
export function keyOf({ id, body }: Request, history: History): string | null {
  const lsn = ID.exec(id)?.groups?.['lsn'];
  const commit = lsn === undefined ? -1 : commitAt(history.commits, BigInt(`0x${lsn}`));
  if (commit === -1 || body === null) return null;
  if (body.message === undefined) {
    const kind: Kind = body.type === 'republish_request' || body.type === 'unpublish_request' ? body.type : 'channel';
    return eventKey(commit, kind, null, body.channel ?? '');
  }
  const message = history.byTimestamp.get(microseconds(body.message.timestamp));
  const kind = body.update_type;
  if (message === undefined || (kind !== 'message_created' && kind !== 'message_changed' && kind !== 'message_deleted')) return null;
  return eventKey(commit, kind, message.id, body.channel ?? '');
}

/** Which versions of the message's row, and of each child that it ever had, the payload can be showing. */
function shownBy(told: NonNullable<Told['message']>, message: MessageHistory): Receipt['shown'] {
  const { user = '', content = '' } = told;
  const shown = new Map<string, readonly number[]>();
  shown.set(`row ${message.id}`, message.rows.flatMap((row, version) => (row.user === user && row.text === content ? [version] : [])));
  const tokens = tokensOf(told);
  for (const [token, flips] of message.children) {
    // Even versions: it is not there; odd ones: it is.
    const parity = tokens.has(token) ? 1 : 0;
    shown.set(`${token} of ${message.id}`, Array.from({ length: flips.length + 1 }, (_item, version) => version).filter((version) => version % 2 === parity));
    tokens.delete(token);
  }
  for (const token of tokens) shown.set(`${token} of ${message.id}`, []);
  return shown;
}

function tokensOf({ reactions = [], attachments = [], args = [], kwargs = {} }: NonNullable<Told['message']>): Set<string> {
  return new Set([
    ...reactions.map(({ reaction }) => `reaction ${reaction}`),
    ...attachments.map(({ title }) => `attachment ${title ?? ''}`),
    ...args.map((name) => `arg ${name}`),
    ...Object.entries(kwargs).map(([key, value]) => `kwarg ${key}=${value}`),
  ]);
}

function committedFor(history: History, dues: readonly Due[]): Committed {
  const begun = new Map<string, readonly number[]>();
  const lastDue = new Map<string, Due>();
  for (const due of dues) {
    const id = messageOf(due.key);
    const before = lastDue.get(id ?? '');
    if (id !== null && (before === undefined || before.commit <= due.commit)) lastDue.set(id, due);
  }
  const ownerOf = new Map<string, string>();
  for (const message of history.messages.values()) {
    begun.set(`row ${message.id}`, message.rows.map(({ commit }) => commit));
    ownerOf.set(`row ${message.id}`, message.id);
    for (const [token, flips] of message.children) {
      // Version 0 is from the beginning: not there.
      begun.set(`${token} of ${message.id}`, [-1, ...flips]);
      ownerOf.set(`${token} of ${message.id}`, message.id);
    }
  }
  return {
    version: (thing, commit) => (begun.get(thing) ?? []).filter((one) => one <= commit).length - 1,
    last(thing, { lane }) {
      const id = ownerOf.get(thing) ?? '';
      const due = lastDue.get(id);
      // The last of a message that went where this endpoint does not look is that it went.
      if (due?.lane !== lane || due.key.includes(' message_deleted ')) return null;
      const versions = begun.get(thing) ?? [];
      // A TRUNCATE of children tells of channels, not of messages.
      if (!due.required || history.messages.get(id)?.goneAt !== null || versions.some((one) => one > due.commit)) return null;
      return versions.length - 1;
    },
  };
}

/** A deletion shows the message's row as it was, and no children. */
function deletions(endpoint: EndpointFacts, history: History, events: ReadonlyMap<string, Event>): readonly Violation[] {
  return endpoint.requests.flatMap((request): readonly Violation[] => {
    const event = events.get(keyOf(request, history) ?? '');
    const told = request.body?.message;
    if (event?.kind !== 'message_deleted' || event.rows === null || told === undefined) return [];
    const [from, to] = event.rows;
    const rows = history.messages.get(event.messageId ?? '')?.rows.slice(from, to + 1) ?? [];
    const right = rows.some(({ user, text }) => user === (told.user ?? '') && text === (told.content ?? '')) && tokensOf(told).size === 0;
    return right ? [] : [{ rule: 'no such state', key: event.key, lane: null, detail: `the deletion does not show the message as it was; webhook-id ${request.id}` }];
  });
}
