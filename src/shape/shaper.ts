import type { Lsn } from '../lsn.js';
import type { Notification, Row, Transaction, UpdateType } from '../types.js';
import { asksForEveryChannel, concernsEveryShard, requested, withReplays, type ControlEffect, type ReplayEffect } from './asked.js';
import { coalesce, NO_CHILDREN, type Children, type Effect, type MessageEffect } from './coalesce.js';
import { channelRequests } from './channel-requests.js';
import type { Directory } from './directory.js';
import { Foretold } from './foretold.js';
import { serializeMessage } from './message.js';
import { namesIn } from './names.js';
import { channelNotification, messageNotification, requestNotification, type ChannelJson, type Origin, type PayloadOptions } from './payload.js';
import { Recent } from './recent.js';
import type { Rendering } from './render/rendering.js';
import type { Rendered } from './render/templates.js';
import { Settling, type Held } from './settling.js';
import { readsOf, SLICE, sliceOf, type Shaping, type Work } from './work.js';

/** A message and its children in one snapshot. */
export interface StoredMessage {
  readonly row: Row | null;
  readonly maintained: boolean;
  readonly children: Children;
}

/** Of messages that are read at once, in bytes of text; a few are read without asking how long they are. */
const READ_BYTES = 4 * 1024 * 1024;
const FEW = 8;
/** So many channels, where all of them are announced. */
const CHANNELS = 1_000;
/** So many characters of text are kept of messages told of late. */
const RECENT_CHARACTERS = 300_000;

/** Messages by id, as one snapshot of the database has them. */
export interface Snapshot {
  readonly messages: ReadonlyMap<string, StoredMessage>;
  /** all that it shows was committed before this position */
  readonly readAt: Lsn;
}

const NO_KWARGS: ReadonlyMap<string, string> = new Map();
const NOTHING_READ: Snapshot = { messages: new Map(), readAt: 0n };

export interface ShapeSource {
  /** The messages with their children, read in one snapshot. */
  read(messageIds: readonly string[]): Promise<Snapshot>;
  /** How long the messages' texts are, in bytes; those that are not there are left out. */
  sizes(messageIds: readonly string[]): Promise<Iterable<readonly [string, number]>>;
  /** In the order of their ids, those after this one; null: from the first. */
  channelIds(after: string | null, limit: number): Promise<readonly string[]>;
}

/** `entry`: the ledger's entry that the output belongs to; a held one is let go by 'release'. */
export type Output<E> =
  | { readonly kind: 'notify'; readonly entry: E; readonly notification: Notification }
  /** a notification that needs the whole channel */
  | { readonly kind: 'request'; readonly entry: E; readonly channelId: string; readonly notification: (channelData: ChannelJson) => Notification }
  | { readonly kind: 'control'; readonly entry: E; readonly request: Readonly<Record<string, unknown>> }
  | { readonly kind: 'hold'; readonly entry: E }
  | { readonly kind: 'release'; readonly entry: E };

/** In order; those whose text is rendered beside are yet to come. */
type Outputs<E> = (Output<E> | Promise<Output<E>>)[];

export interface ShapeOptions extends PayloadOptions {
  readonly settleMs: number;
  /** of the commits that the stream brings once more, those before it can have rows of deliveries; 0: none has */
  readonly storedBefore: () => Lsn;
  /** changes of channels are requests (CHANNEL_REQUESTS=auto) */
  readonly channelRequests: boolean;
  /** null: this instance tells of everything; otherwise it shares the messages with others, and the first tells of whole channels */
  readonly shard: { readonly first: boolean; /** those of these messages that are this instance's */ readonly own: (messageIds: readonly string[]) => Promise<readonly string[]> } | null;
  readonly rendering: Rendering;
  /** something that a person should know about: said once per kind by the caller */
  readonly onAnomaly: (kind: 'no_old_row' | 'unknown_channel' | 'template_error' | 'not_rendered', detail: Readonly<Record<string, unknown>>) => void;
}

/** Transactions in, notifications out, in commit order. */
export class Shaper<E> {
  readonly #source: ShapeSource;
  readonly #directory: Directory;
  readonly #options: ShapeOptions;
  readonly #settling = new Settling<E>();
  readonly #recent = new Recent(RECENT_CHARACTERS);
  readonly #foretold = new Foretold();

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
    this.#foretold.clear();
  }

  /** @param arrivals committed and visible to other sessions */
  take(arrivals: readonly { readonly transaction: Transaction; readonly entry: E }[], systemId: string): Shaping<E> {
    const work: Work<E>[] = [];
    for (const { transaction, entry } of arrivals) {
      const origin = { systemId, commitLsn: transaction.commitLsn, committedAt: transaction.committedAt, part: this.#options.shard === null ? null : transaction.part };
      const whole = transaction.part === 0 && transaction.final;
      for (const effect of this.#effects(transaction)) work.push({ entry, origin, whole, effect });
      this.#directory.apply(transaction);
    }
    return { work, at: 0, channel: null, done: false, sorted: this.#options.shard === null };
  }

  /**
   * A slice of it; to be called until it is done.
   * @param now milliseconds, the clock of the settle time
   * May be called again when a read failed: it changes nothing before its reads are done.
   */
  async shape(shaping: Shaping<E>, now: number): Promise<readonly Output<E>[]> {
    if (!shaping.sorted) await this.#leaveOut(shaping);
    const next = shaping.work[shaping.at];
    if (next !== undefined && asksForEveryChannel(next.effect)) return this.#everyChannel(shaping, next);
    const slice = sliceOf(shaping);
    const { work, due } = await this.#fitting(slice, shaping.at + slice.length === shaping.work.length ? this.#settling.due(now, SLICE) : []);
    const end = shaping.at + work.length;
    const last = end === shaping.work.length;

    // All reads come first: a fault in one of them leaves everything as it was.
    const snapshot = await this.#read(work, due);
    await this.#ensureNames(work.map(({ effect }) => effect), snapshot.messages.values());

    const outputs: Outputs<E> = [];
    for (const item of work) {
      if (item.effect.kind === 'message') this.#message(item, item.effect, snapshot, now, outputs);
      else if (item.effect.kind === 'replay') this.#replay(item, item.effect, snapshot, outputs);
      else if (item.effect.kind === 'control') this.#control(item, item.effect, outputs);
    }
    shaping.at = end;
    for (const held of this.#settling.release(due)) {
      this.#changed(held.entry, held.origin, held.effect, snapshot, outputs);
      outputs.push({ kind: 'release', entry: held.entry });
    }
    const dueAt = this.#settling.nextDueAt();
    shaping.done = last && (dueAt === null || dueAt > now);
    return isThere(outputs) ? outputs : Promise.all(outputs.map(async (output) => output));
  }

  /** Some of all channels at a time. */
  async #everyChannel(shaping: Shaping<E>, item: Work<E>): Promise<readonly Output<E>[]> {
    const channelIds = await this.#source.channelIds(shaping.channel, CHANNELS);
    await this.#directory.ensureChannels(channelIds);
    const webhookId = item.effect.kind === 'control' ? String(item.effect.request['resync']) : '*';
    const outputs: Outputs<E> = [];
    this.#channels(item, item.effect.place, channelIds, webhookId === '*' ? null : [webhookId], outputs);
    const whole = channelIds.length < CHANNELS;
    shaping.channel = whole ? null : (channelIds.at(-1) ?? null);
    if (whole) shaping.at += 1;
    return isThere(outputs) ? outputs : Promise.all(outputs.map(async (output) => output));
  }

  /** Messages of a channel as notifications show them. */
  async serialize(messages: readonly { readonly row: Row; readonly children: Children }[]): Promise<readonly string[]> {
    await this.#ensureNames([], messages);
    return Promise.all(messages.map(async ({ row, children }) => this.#serialize(row, children, row['channel_id'] ?? '')));
  }

  /** Every instance hears of all that are to be told once more. */
  async #leaveOut(shaping: Shaping<E>): Promise<void> {
    const asked = shaping.work.flatMap(({ effect }) => (effect.kind === 'replay' ? [effect.messageId] : []));
    const own = new Set(asked.length === 0 ? [] : await this.#options.shard?.own(asked));
    shaping.work = shaping.work.filter(({ effect }) => effect.kind !== 'replay' || own.has(effect.messageId));
    shaping.sorted = true;
  }

  #effects(transaction: Transaction): readonly (Effect | ReplayEffect)[] {
    const effects = withReplays(coalesce(transaction.changes));
    // What is not filtered by message reaches every instance that shares them.
    if (this.#options.shard?.first === false) return effects.filter(concernsEveryShard);
    const requests = this.#options.channelRequests ? channelRequests(transaction.changes) : [];
    return requests.length === 0 ? effects : [...effects, ...requests].toSorted((a, b) => a.place - b.place);
  }

  #read(work: readonly Work<E>[], due: readonly Held<E>[]): Promise<Snapshot> {
    const ids = readsOf(work, due).filter((id) => id !== null);
    return ids.length === 0 ? Promise.resolve(NOTHING_READ) : this.#source.read([...new Set(ids)]);
  }

  /** As many of them as have their texts in `READ_BYTES`, one at the least. */
  async #fitting(work: readonly Work<E>[], due: readonly Held<E>[]): Promise<{ readonly work: readonly Work<E>[]; readonly due: readonly Held<E>[] }> {
    const reads = readsOf(work, due);
    const ids = new Set(reads.filter((id) => id !== null));
    if (ids.size <= FEW) return { work, due };
    const sizes = new Map(await this.#source.sizes([...ids]));
    let bytes = 0;
    const end = reads.findIndex((id, index) => {
      bytes += sizes.get(id ?? '') ?? 0;
      sizes.delete(id ?? '');
      return index > 0 && bytes > READ_BYTES;
    });
    return end < 0 ? { work, due } : { work: work.slice(0, end), due: due.slice(0, Math.max(0, end - work.length)) };
  }

  async #ensureNames(effects: readonly (Effect | ReplayEffect)[], messages: Iterable<{ readonly row: Row | null; readonly children: Children }>): Promise<void> {
    const { channels, users, args } = namesIn(effects, messages);
    await this.#directory.ensureChannels(channels);
    await this.#directory.ensure('user', users);
    await this.#directory.ensure('argument', args);
  }

  #message(item: Work<E>, effect: MessageEffect, snapshot: Snapshot, now: number, outputs: Outputs<E>): void {
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
        const maintained = snapshot.messages.get(effect.messageId)?.maintained === true;
        // What has a row by itself from before a crash must be told by itself again: the row must not stay as it was read then.
        const again = origin.commitLsn < this.#options.storedBefore();
        if (effect.row === null && maintained && this.#options.settleMs > 0 && !again && !this.#settling.full) {
          this.#settling.hold({ entry, origin, effect, dueAt: now + this.#options.settleMs });
          outputs.push({ kind: 'hold', entry });
          return;
        }
        this.#changed(entry, origin, effect, snapshot, outputs);
      }
    }
  }

  #changed(entry: E, origin: Origin, effect: MessageEffect, snapshot: Snapshot, outputs: Outputs<E>): void {
    const { row, children } = this.#state(effect, snapshot);
    // Only children were written, and the message is gone by now and not remembered: its deletion follows.
    if (row === null) return;
    if (effect.row === null) this.#foretold.put(effect.messageId, row['channel_id'] ?? '', snapshot.readAt);
    this.#notify(entry, origin, effect.place * 2, 'message_changed', effect.messageId, effect.row ?? row, row, children, outputs);
  }

  /** As a change of children alone is told, and behind those of the message that still wait. One that is deleted by now is not told. */
  #replay({ entry, origin }: Work<E>, { place, messageId, to }: ReplayEffect, snapshot: Snapshot, outputs: Outputs<E>): void {
    for (const held of this.#settling.take(messageId)) {
      this.#changed(held.entry, held.origin, held.effect, snapshot, outputs);
      outputs.push({ kind: 'release', entry: held.entry });
    }
    const { row = null, children = NO_CHILDREN } = snapshot.messages.get(messageId) ?? {};
    if (row === null) return;
    this.#foretold.put(messageId, row['channel_id'] ?? '', snapshot.readAt);
    this.#notify(entry, origin, place * 2, 'message_changed', messageId, row, row, children, outputs, to);
  }

  /**
   * The message and its children as the snapshot has them, never a mixture of the WAL's row and later
   * children. Snapshots only get newer, so no older state follows a newer one. A message that is
   * deleted by now is told from the WAL: its deletion follows.
   */
  #state(effect: MessageEffect, snapshot: Snapshot): { readonly row: Row | null; readonly children: Children } {
    const found = snapshot.messages.get(effect.messageId);
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
    outputs: Outputs<E>,
    replayTo?: readonly string[] | null,
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
    const foretold = updateType === 'message_created' && this.#foretold.has(messageId, channelId, origin.commitLsn);
    const told = (message: string | number): Output<E> => {
      const about = { channelId, chatType, messageId, updateType, foretold, message, ...(replayTo === undefined ? {} : { replayTo }) };
      return { kind: 'notify', entry, notification: messageNotification(origin, seq, this.#options, about) };
    };
    const characters = row['text']?.length ?? 0;
    // Nothing is made of a text that is too large to be sent in any case.
    const message = characters > this.#options.maxPayloadBytes ? characters : this.#serialize(row, children, channelId);
    outputs.push(message instanceof Promise ? message.then(told) : told(message));
  }

  /** A promise where the text is rendered beside. */
  #serialize(row: Row, children: Children, channelId: string): string | Promise<string> {
    const text = row['text'] ?? '';
    const renderer = this.#directory.renderer(channelId);
    const serialize = (rendered: Rendered | null): string => {
      if (rendered === null) this.#options.onAnomaly('not_rendered', { messageId: row['id'] ?? '', channelId });
      for (const problem of [...(renderer?.problems ?? []), ...(rendered?.problems ?? [])]) this.#options.onAnomaly('template_error', { ...problem });
      return serializeMessage(row, children, this.#directory, rendered ?? asItIs(text));
    };
    const rendered = renderer === null || renderer.plain ? asItIs(text) : this.#options.rendering.render(renderer, text);
    return rendered instanceof Promise ? rendered.then(serialize) : serialize(rendered);
  }

  #channels(item: Work<E>, place: number, channelIds: Iterable<string>, webhookIds: readonly string[] | null, outputs: Outputs<E>): void {
    for (const channelId of channelIds) {
      const about = { channelId, chatType: this.#directory.chatType(channelId), webhookIds };
      const notification = channelNotification(item.origin, place * 2, this.#options.channelIdFormat, about);
      outputs.push({ kind: 'notify', entry: item.entry, notification });
    }
  }

  #control(item: Work<E>, effect: ControlEffect, outputs: Outputs<E>): void {
    const wanted = requested(effect.request);
    if (wanted?.type === 'update_notification') {
      this.#channels(item, effect.place, [wanted.channelId], null, outputs);
    } else if (wanted !== null) {
      const { type, channelId } = wanted;
      const about = { channelId, chatType: this.#directory.chatType(channelId) };
      const notification = (channelData: ChannelJson): Notification => requestNotification(item.origin, effect.place * 2, type, about, channelData);
      outputs.push({ kind: 'request', entry: item.entry, channelId, notification });
    } else {
      outputs.push({ kind: 'control', entry: item.entry, request: effect.request });
    }
  }
}

/** As nearly always; what is to come costs the others as well. */
function isThere<E>(outputs: Outputs<E>): outputs is Output<E>[] {
  return !outputs.some((output) => output instanceof Promise);
}

function asItIs(content: string): Rendered {
  return { content, args: [], kwargs: NO_KWARGS, attachment: null, problems: [] };
}
