import type { Notification, Row, Transaction, UpdateType } from '../types.js';
import { coalesce, NO_CHILDREN, type Children, type Effect, type MessageEffect } from './coalesce.js';
import type { Directory } from './directory.js';
import { channelRequests } from './channel-requests.js';
import { serializeMessage } from './message.js';
import { channelNotification, messageNotification, requestNotification, type ChannelIdFormat, type ChannelRequest, type Origin } from './payload.js';
import { Recent } from './recent.js';
import { Settling } from './settling.js';

/** A message and its children in one snapshot. */
export interface StoredMessage {
  readonly row: Row | null;
  readonly maintained: boolean;
  readonly children: Children;
}

/** So many effects are read and told at a time: of a very large transaction never all at once. */
const SLICE = 1_000;
/** So many characters of text are kept of messages told of late. */
const RECENT_CHARACTERS = 2_000_000;

/** Messages by id. */
type Snapshot = ReadonlyMap<string, StoredMessage>;

const NO_KWARGS: ReadonlyMap<string, string> = new Map();
const NOTHING_READ: Snapshot = new Map();

export interface ShapeSource {
  /** The messages with their children, read in one snapshot. */
  read(messageIds: readonly string[]): Promise<Snapshot>;
  channelIds(): Promise<readonly string[]>;
}

/** `entry`: the ledger's entry that the output belongs to; a held one is let go by 'release'. */
export type Output<E> =
  | { readonly kind: 'notify'; readonly entry: E; readonly notification: Notification }
  /** a notification that needs the whole channel, as JSON text */
  | { readonly kind: 'request'; readonly entry: E; readonly channelId: string; readonly notification: (channelData: string) => Notification }
  | { readonly kind: 'control'; readonly entry: E; readonly request: Readonly<Record<string, unknown>> }
  | { readonly kind: 'hold'; readonly entry: E }
  | { readonly kind: 'release'; readonly entry: E };

export interface ShapeOptions {
  readonly settleMs: number;
  readonly channelIdFormat: ChannelIdFormat;
  /** changes of channels are requests (CHANNEL_REQUESTS=auto) */
  readonly channelRequests: boolean;
  /** something that a person should know about: said once per kind by the caller */
  readonly onAnomaly: (kind: 'no_old_row' | 'unknown_channel' | 'template_error', detail: Readonly<Record<string, unknown>>) => void;
}

interface Work<E> {
  readonly entry: E;
  readonly origin: Origin;
  /** the transaction did not come in parts */
  readonly whole: boolean;
  readonly effect: Effect;
}

/** What was taken to be shaped, and how far that has come. */
export interface Shaping<E> {
  readonly work: readonly Work<E>[];
  at: number;
  done: boolean;
}

/** Transactions in, notifications out, in commit order. */
export class Shaper<E> {
  readonly #source: ShapeSource;
  readonly #directory: Directory;
  readonly #options: ShapeOptions;
  readonly #settling = new Settling<E>();
  readonly #recent = new Recent(RECENT_CHARACTERS);

  constructor(source: ShapeSource, directory: Directory, options: ShapeOptions) {
    this.#source = source;
    this.#directory = directory;
    this.#options = options;
  }

  /** When `shape` has to be called again even if nothing arrives; null: not at all. */
  get nextDueAt(): number | null {
    return this.#settling.nextDueAt();
  }

  /** Another history begins: what waited is forgotten with its ledger entries. */
  reset(): void {
    this.#settling.clear();
    this.#recent.clear();
  }

  /** @param arrivals committed and visible to other sessions */
  take(arrivals: readonly { readonly transaction: Transaction; readonly entry: E }[], systemId: string): Shaping<E> {
    const work: Work<E>[] = [];
    for (const { transaction, entry } of arrivals) {
      const origin = { systemId, commitLsn: transaction.commitLsn, committedAt: transaction.committedAt };
      const whole = transaction.part === 0 && transaction.final;
      for (const effect of this.#effects(transaction)) work.push({ entry, origin, whole, effect });
      this.#directory.apply(transaction);
    }
    return { work, at: 0, done: false };
  }

  /**
   * A slice of it; to be called until it is done.
   * @param now milliseconds, the clock of the settle time
   * May be called again when a read failed: it changes nothing before its reads are done.
   */
  async shape(shaping: Shaping<E>, now: number): Promise<readonly Output<E>[]> {
    const end = Math.min(shaping.at + SLICE, shaping.work.length);
    const work = end - shaping.at === shaping.work.length ? shaping.work : shaping.work.slice(shaping.at, end);
    const last = end === shaping.work.length;

    // All reads come first: a fault in one of them leaves everything as it was.
    const snapshot = await this.#read(work, last ? this.#settling.dueMessages(now) : []);
    const channelIds = work.some(({ effect }) => asksForEveryChannel(effect)) ? await this.#source.channelIds() : [];
    await this.#ensureNames(work, snapshot, channelIds);

    const outputs: Output<E>[] = [];
    for (const item of work) {
      const { effect } = item;
      if (effect.kind === 'message') this.#message(item, effect, snapshot, now, outputs);
      else if (effect.kind === 'truncate') this.#channels(item, effect.place, channelIds, null, outputs);
      else this.#control(item, effect, channelIds, outputs);
    }
    shaping.at = end;
    shaping.done = last;
    for (const held of last ? this.#settling.due(now) : []) {
      this.#changed(held.entry, held.origin, held.effect, snapshot, outputs);
      outputs.push({ kind: 'release', entry: held.entry });
    }
    return outputs;
  }

  /** Messages of a channel as notifications show them. */
  async serialize(messages: readonly { readonly row: Row; readonly children: Children }[]): Promise<readonly string[]> {
    await this.#ensureNames([], new Map(messages.map(({ row, children }, index) => [String(index), { row, children, maintained: false }])), []);
    return messages.map(({ row, children }) => this.#serialize(row, children, row['channel_id'] ?? ''));
  }

  #effects(transaction: Transaction): readonly Effect[] {
    const effects = coalesce(transaction.changes);
    const requests = this.#options.channelRequests ? channelRequests(transaction.changes) : [];
    return requests.length === 0 ? effects : [...effects, ...requests].toSorted((a, b) => a.place - b.place);
  }

  #read(work: readonly Work<E>[], dueIds: readonly string[]): Promise<Snapshot> {
    const ids = new Set(dueIds);
    for (const { whole, effect } of work) {
      if (effect.kind !== 'message' || effect.net === 'deleted') continue;
      // All children of a new message are in its own transaction, unless that came in parts.
      if (effect.net !== 'created' || !whole) ids.add(effect.messageId);
    }
    return ids.size === 0 ? Promise.resolve(NOTHING_READ) : this.#source.read([...ids]);
  }

  async #ensureNames(work: readonly Work<E>[], snapshot: Snapshot, channelIds: readonly string[]): Promise<void> {
    const channels = new Set(channelIds);
    const users = new Set<string>();
    const args = new Set<string>();
    const add = (set: Set<string>, id: string | null | undefined): void => {
      if (typeof id === 'string') set.add(id);
    };
    const row = (message: Row | null): void => {
      add(channels, message?.['channel_id']);
      add(users, message?.['user_id']);
    };
    const children = ({ reaction }: Children): void => {
      for (const child of reaction) {
        add(users, child['user_id']);
        add(args, child['argument_id']);
      }
    };
    for (const { effect } of work) {
      if (effect.kind === 'control') add(channels, requested(effect.request)?.channelId);
      if (effect.kind !== 'message') continue;
      row(effect.before);
      row(effect.row);
      children(effect.children);
    }
    for (const message of snapshot.values()) {
      row(message.row);
      children(message.children);
    }
    await this.#directory.ensureChannels(channels);
    await this.#directory.ensure('user', users);
    await this.#directory.ensure('argument', args);
  }

  #message(item: Work<E>, effect: MessageEffect, snapshot: Snapshot, now: number, outputs: Output<E>[]): void {
    const { entry, origin } = item;
    if (effect.row !== null) {
      for (const held of this.#settling.take(effect.messageId)) outputs.push({ kind: 'release', entry: held.entry });
    }
    const seq = effect.place * 2;
    switch (effect.net) {
      case 'created': {
        // As of its commit: everything is in the transaction, unless that came in parts.
        const { row, children } = this.#state(effect, item.whole ? NOTHING_READ : snapshot);
        this.#notify(entry, origin, seq, 'message_created', effect.messageId, effect.row, row, children, outputs);
        return;
      }
      case 'deleted':
        this.#notify(entry, origin, seq, 'message_deleted', effect.messageId, effect.before, effect.row, NO_CHILDREN, outputs);
        return;
      case 'moved': {
        const { row, children } = this.#state(effect, snapshot);
        this.#notify(entry, origin, seq, 'message_deleted', effect.messageId, effect.before, effect.before, NO_CHILDREN, outputs);
        this.#notify(entry, origin, seq + 1, 'message_created', effect.messageId, effect.row, row, children, outputs);
        return;
      }
      case 'changed': {
        const maintained = snapshot.get(effect.messageId)?.maintained === true;
        if (effect.row === null && maintained && this.#options.settleMs > 0) {
          this.#settling.hold({ entry, origin, effect, dueAt: now + this.#options.settleMs });
          outputs.push({ kind: 'hold', entry });
          return;
        }
        this.#changed(entry, origin, effect, snapshot, outputs);
      }
    }
  }

  #changed(entry: E, origin: Origin, effect: MessageEffect, snapshot: Snapshot, outputs: Output<E>[]): void {
    const { row, children } = this.#state(effect, snapshot);
    // Only children were written, and the message is gone by now and not remembered: its deletion follows.
    if (row === null) return;
    this.#notify(entry, origin, effect.place * 2, 'message_changed', effect.messageId, effect.row ?? row, row, children, outputs);
  }

  /**
   * The message and its children as the snapshot has them, never a mixture of the WAL's row and later
   * children. Snapshots only get newer, so no older state follows a newer one. A message that is
   * deleted by now is told from the WAL: its deletion follows.
   */
  #state(effect: MessageEffect, snapshot: Snapshot): { readonly row: Row | null; readonly children: Children } {
    const found = snapshot.get(effect.messageId);
    const newest = found?.row ?? effect.row;
    if (newest !== null && newest['text'] !== undefined) this.#recent.put(effect.messageId, newest);
    if (found?.row !== undefined && found.row !== null) return { row: found.row, children: found.children };
    return { row: effect.row ?? this.#recent.get(effect.messageId), children: effect.children };
  }

  #notify(
    entry: E,
    origin: Origin,
    seq: number,
    updateType: UpdateType,
    messageId: string,
    place: Row | null,
    row: Row | null,
    children: Children,
    outputs: Output<E>[],
  ): void {
    const channelId = place?.['channel_id'] === undefined ? row?.['channel_id'] : place['channel_id'];
    // In no channel, which another schema than the application's may allow.
    if (row !== null && channelId === null) return;
    if (row === null || typeof channelId !== 'string') {
      this.#options.onAnomaly('no_old_row', { messageId, updateType });
      return;
    }
    const chatType = this.#directory.chatType(channelId);
    if (chatType === null) this.#options.onAnomaly('unknown_channel', { messageId, channelId });
    const message = this.#serialize(row, children, channelId);
    const about = { channelId, chatType, messageId, updateType, message };
    outputs.push({ kind: 'notify', entry, notification: messageNotification(origin, seq, this.#options.channelIdFormat, about) });
  }

  #serialize(row: Row, children: Children, channelId: string): string {
    const text = row['text'] ?? '';
    const renderer = this.#directory.renderer(channelId);
    const rendered = renderer?.render(text) ?? { content: text, args: [], kwargs: NO_KWARGS, attachment: null, problems: [] };
    for (const problem of [...(renderer?.problems ?? []), ...rendered.problems]) this.#options.onAnomaly('template_error', { ...problem });
    return serializeMessage(row, children, this.#directory, rendered);
  }

  #channels(item: Work<E>, place: number, channelIds: Iterable<string>, webhookId: string | null, outputs: Output<E>[]): void {
    for (const channelId of channelIds) {
      const about = { channelId, chatType: this.#directory.chatType(channelId), webhookId };
      const notification = channelNotification(item.origin, place * 2, this.#options.channelIdFormat, about);
      outputs.push({ kind: 'notify', entry: item.entry, notification });
    }
  }

  #control(item: Work<E>, effect: ControlEffect, channelIds: readonly string[], outputs: Output<E>[]): void {
    const wanted = requested(effect.request);
    if (wanted?.type === 'update_notification') {
      this.#channels(item, effect.place, [wanted.channelId], null, outputs);
    } else if (wanted !== null) {
      const { type, channelId } = wanted;
      const about = { channelId, chatType: this.#directory.chatType(channelId) };
      const notification = (channelData: string): Notification => requestNotification(item.origin, effect.place * 2, type, about, channelData);
      outputs.push({ kind: 'request', entry: item.entry, channelId, notification });
    } else if (asksForEveryChannel(effect)) {
      const webhookId = String(effect.request['resync']);
      this.#channels(item, effect.place, channelIds, webhookId === '*' ? null : webhookId, outputs);
    } else {
      outputs.push({ kind: 'control', entry: item.entry, request: effect.request });
    }
  }
}

type ControlEffect = Extract<Effect, { kind: 'control' }>;

function asksForEveryChannel(effect: Effect): boolean {
  return effect.kind === 'truncate' || (effect.kind === 'control' && typeof effect.request['resync'] === 'string');
}

const REQUESTS = [
  ['request_update', 'update_notification'],
  ['republish', 'republish_request'],
  ['unpublish', 'unpublish_request'],
] as const;

/** What is asked for about one channel. */
function requested(request: ControlEffect['request']): { readonly type: 'update_notification' | ChannelRequest; readonly channelId: string } | null {
  for (const [key, type] of REQUESTS) {
    const channelId = request[key];
    if (typeof channelId === 'string') return { type, channelId };
  }
  return null;
}
