import { z } from 'zod';
import type { Tuple, Write } from '../conformance/journal.js';
import { childToken, eventKey, microseconds, type Event, type History, type MessageHistory, type Standing } from './history.js';
import type { Commit } from './journal.js';

const CHILD_TABLES: ReadonlySet<string> = new Set(['reaction', 'attachment', 'keywordargument']);
/** test_decoding's text is about so much smaller than the same in the stream: beyond, a transaction may come in parts. */
const SPLIT_SHARE = 0.3;

interface Message {
  readonly id: string;
  readonly history: MessageHistory;
  channelId: string;
  userId: string;
  text: string;
  maintained: boolean;
  readonly children: Map<string, string>;
}

interface Child {
  readonly table: string;
  row: Tuple;
}

/** What one transaction did to one message so far. */
interface Draft {
  readonly existed: boolean;
  readonly channelId: string | null;
  readonly rowVersion: number;
  lastChannelId: string;
  rowWritten: boolean;
  childrenEmptied: boolean;
}

/** Replays the journal: a chat of its own, made from nothing but what the server says was committed. */
export class Chronicler {
  readonly #partBytes: number;
  readonly #commits: Commit[] = [];
  readonly #ledger = new Map<number, { readonly commit: number; readonly deed: string }>();
  readonly #histories = new Map<string, MessageHistory>();
  readonly #byTimestamp = new Map<string, MessageHistory>();
  readonly #events: Event[] = [];
  readonly #webhooks = new Map<string, Standing[]>();
  readonly #resyncs: number[] = [];
  readonly #announcing = new Set<number>();
  readonly #messages = new Map<string, Message>();
  readonly #children = new Map<string, Child>();
  readonly #names = { user: new Map<string, string>(), argument: new Map<string, string>(), chattype: new Map<string, string>() };
  readonly #channels = new Map<string, string>();
  /** the last commit that did */
  readonly #movedAt = new Map<string, number>();
  readonly #allChannels = new Set<string>();
  readonly #channelGoneAt = new Map<string, number>();
  #drafts = new Map<string, Draft>();
  #emptied = false;

  /** @param partBytes transactions beyond are told in parts */
  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  add(commits: readonly Commit[]): void {
    for (const commit of commits) this.#apply(commit);
  }

  finish(): History {
    const events = this.#events.map((event) => this.#dispense(event));
    const final = new Map([...this.#messages].map(([id, message]) => [id, this.#describe(message)]));
    return { commits: this.#commits, ledger: this.#ledger, messages: this.#histories, byTimestamp: this.#byTimestamp, channels: this.#allChannels, events, webhooks: this.#webhooks, announcing: this.#announcing, resyncs: this.#resyncs, final };
  }

  #apply(commit: Commit): void {
    const index = this.#commits.push(commit) - 1;
    this.#drafts = new Map();
    this.#emptied = false;
    for (const write of commit.writes) this.#write(write, index);
    const split = commit.bytes > this.#partBytes * SPLIT_SHARE;
    for (const [id, draft] of this.#drafts) this.#tell(id, draft, index, split);
    if (this.#emptied) for (const channelId of this.#channels.keys()) this.#event({ commit: index, kind: 'channel', channelId });
    for (const request of commit.requests) this.#request(request, index);
  }

  #write({ op, table, before, after }: Write, index: number): void {
    if (op === 'TRUNCATE') {
      this.#truncate(table.split(' '), index);
      return;
    }
    const row = after ?? before ?? {};
    const id = row['id'] ?? '';
    if (table === 'message') this.#message(op, id, row, index);
    else if (CHILD_TABLES.has(table)) this.#child(op, table, id, row, index);
    else if (table === 'channel') {
      if (op === 'DELETE') {
        this.#channels.delete(id);
        this.#channelGoneAt.set(id, index);
      } else {
        this.#channels.set(id, row['chat_type_id'] ?? '');
        this.#allChannels.add(id);
      }
    } else if (table === 'user' && op !== 'DELETE') this.#names.user.set(id, row['api_id'] ?? '');
    else if (table === 'argument' && op !== 'DELETE') this.#names.argument.set(id, row['name'] ?? '');
    else if (table === 'chattype' && op !== 'DELETE') this.#names.chattype.set(id, row['name'] ?? '');
    else if (table === 'ledger' && op === 'INSERT') this.#ledger.set(Number(id), { commit: index, deed: row['deed'] ?? '' });
    else if (table === 'webhooks') {
      const standing = { commit: index, active: op !== 'DELETE' && row['enabled'] === 'true' && row['verified'] === 'true', gone: (row['disabled_reason'] ?? null) !== null };
      this.#webhooks.set(id, [...(this.#webhooks.get(id) ?? []), standing]);
    }
  }

  #message(op: string, id: string, row: Tuple, index: number): void {
    const draft = this.#touch(id);
    draft.rowWritten = true;
    const known = this.#messages.get(id);
    if (op === 'DELETE') {
      if (known !== undefined) {
        known.history.goneAt = index;
        // Those that a foreign key deletes come after their message.
        for (const token of known.children.values()) flip(known.history, token, index);
      }
      this.#messages.delete(id);
      return;
    }
    const history = this.#history(id, row);
    const message = known ?? { id, history, channelId: '', userId: '', text: '', maintained: false, children: new Map<string, string>() };
    message.channelId = row['channel_id'] ?? message.channelId;
    message.userId = row['user_id'] ?? message.userId;
    message.text = row['text'] ?? message.text;
    if ('serialized' in row) message.maintained = row['serialized'] !== null;
    draft.lastChannelId = message.channelId;
    this.#messages.set(id, message);
    history.rows.push({ commit: index, user: this.#names.user.get(message.userId) ?? '', text: message.text });
  }

  #child(op: string, table: string, id: string, row: Tuple, index: number): void {
    const key = `${table} ${id}`;
    const known = this.#children.get(key);
    if (known !== undefined) this.#place(key, known.row['message_id'] ?? '', null, index);
    if (op === 'DELETE') {
      this.#children.delete(key);
      return;
    }
    const child: Child = { table, row: { ...known?.row, ...row } };
    this.#children.set(key, child);
    this.#place(key, child.row['message_id'] ?? '', childToken(table, child.row, this.#names.argument.get(child.row['argument_id'] ?? '') ?? ''), index);
  }

  /** The child stands at this message with this token, or no longer does. */
  #place(key: string, messageId: string, token: string | null, index: number): void {
    this.#touch(messageId);
    const message = this.#messages.get(messageId);
    const history = this.#histories.get(messageId);
    if (message === undefined || history === undefined) return;
    const before = message.children.get(key);
    if (before !== undefined) flip(history, before, index);
    if (token === null) message.children.delete(key);
    else {
      message.children.set(key, token);
      flip(history, token, index);
    }
  }

  #truncate(tables: readonly string[], index: number): void {
    if (!tables.some((table) => table === 'message' || CHILD_TABLES.has(table))) return;
    this.#emptied = true;
    this.#announcing.add(index);
    for (const [key, child] of this.#children) {
      if (!tables.includes(child.table)) continue;
      const messageId = child.row['message_id'] ?? '';
      const message = this.#messages.get(messageId);
      const token = message?.children.get(key);
      if (message !== undefined && token !== undefined) flip(message.history, token, index);
      message?.children.delete(key);
      this.#children.delete(key);
    }
    for (const draft of this.#drafts.values()) draft.childrenEmptied = true;
    if (!tables.includes('message')) return;
    for (const { history } of this.#messages.values()) history.goneAt = index;
    this.#messages.clear();
    this.#drafts.clear();
  }

  #tell(id: string, draft: Draft, commit: number, split: boolean): void {
    const message = this.#messages.get(id);
    const rows = this.#histories.get(id)?.rows ?? [];
    const newest = rows.length - 1;
    const oldChannel = draft.channelId;
    const common = { commit, messageId: id, split };
    const optional = { ...common, dispensable: true };
    if (message === undefined) {
      if (draft.existed && oldChannel !== null) {
        this.#event({ ...common, kind: 'message_deleted', channelId: oldChannel, rows: [newest, newest] });
        if (split) this.#event({ ...optional, kind: 'message_changed', channelId: oldChannel });
      } else if (split && rows.length > 0) {
        // Its insertion and its deletion may have come in different parts.
        for (const kind of ['message_created', 'message_changed', 'message_deleted'] as const) {
          this.#event({ ...optional, kind, channelId: draft.lastChannelId, rows: kind === 'message_deleted' ? [0, newest] : null });
        }
      }
      return;
    }
    if (!draft.existed) {
      this.#event({ ...common, kind: 'message_created', channelId: message.channelId });
      if (split) this.#event({ ...optional, kind: 'message_changed', channelId: message.channelId });
    } else if (oldChannel !== null && oldChannel !== message.channelId) {
      this.#movedAt.set(id, commit);
      this.#event({ ...common, kind: 'message_deleted', channelId: oldChannel, rows: [draft.rowVersion, split ? newest : draft.rowVersion] });
      this.#event({ ...common, kind: 'message_created', channelId: message.channelId });
      if (split) this.#event({ ...optional, kind: 'message_changed', channelId: message.channelId });
    } else {
      const childOnly = !draft.rowWritten;
      const dispensable = childOnly && draft.childrenEmptied;
      this.#event({ ...common, kind: 'message_changed', channelId: message.channelId, dispensable, childOnly, held: childOnly && message.maintained });
    }
  }

  #request(content: string, commit: number): void {
    const request = z.record(z.string(), z.unknown()).catch({}).parse(JSON.parse(content));
    const common = { commit, messageId: null };
    for (const [name, kind] of [['request_update', 'channel'], ['republish', 'republish_request'], ['unpublish', 'unpublish_request']] as const) {
      const channelId = request[name];
      if (typeof channelId === 'string') this.#event({ ...common, kind, channelId });
    }
    this.#replay(request, commit);
    const webhookId = request['resync'];
    if (typeof webhookId !== 'string') return;
    this.#announcing.add(commit);
    if (webhookId === '*') this.#resyncs.push(commit);
    for (const channelId of this.#channels.keys()) this.#event({ ...common, kind: 'channel', channelId, webhookId: webhookId === '*' ? null : webhookId });
  }

  /** As a change of its children that nothing waits for; told whatever an endpoint wants otherwise. */
  #replay({ replay, to }: Readonly<Record<string, unknown>>, commit: number): void {
    const message = typeof replay === 'string' ? this.#messages.get(replay) : undefined;
    if (message === undefined) return;
    const about = { commit, kind: 'message_changed', messageId: message.id, channelId: message.channelId, childOnly: true, replay: true } as const;
    for (const webhookId of Array.isArray(to) ? to.map(String) : [null]) this.#event({ ...about, webhookId });
  }

  #event(about: Pick<Event, 'commit' | 'kind' | 'channelId'> & Partial<Event>): void {
    const { commit, kind, channelId, messageId = null } = about;
    const chatType = this.#names.chattype.get(this.#channels.get(channelId) ?? '') ?? null;
    const key = eventKey(commit, kind, messageId, channelId);
    this.#events.push({ messageId, webhookId: null, channelGoes: false, elsewhere: false, dispensable: false, split: false, childOnly: false, held: false, replay: false, rows: null, ...about, key, chatType });
  }

  /** What came later decides on some: a change of children alone goes out with a later write of the message, or not at all when that is gone. */
  #dispense(given: Event): Event {
    const event = this.#channelGoneAt.has(given.channelId) ? { ...given, channelGoes: true } : given;
    if (event.messageId === null) return event.channelGoes ? { ...event, dispensable: true } : event;
    const history = this.#histories.get(event.messageId);
    if (history === undefined || !event.childOnly) return event;
    const overtaken = event.held && history.rows.some(({ commit }) => commit > event.commit);
    const elsewhere = (this.#movedAt.get(event.messageId) ?? -1) > event.commit;
    return { ...event, elsewhere, dispensable: event.dispensable || overtaken || history.goneAt !== null };
  }

  #touch(id: string): Draft {
    const known = this.#drafts.get(id);
    if (known !== undefined) return known;
    const message = this.#messages.get(id);
    const draft = { existed: message !== undefined, channelId: message?.channelId ?? null, rowVersion: (this.#histories.get(id)?.rows.length ?? 0) - 1, lastChannelId: message?.channelId ?? '', rowWritten: false, childrenEmptied: false };
    this.#drafts.set(id, draft);
    return draft;
  }

  #history(id: string, row: Tuple): MessageHistory {
    const known = this.#histories.get(id);
    if (known !== undefined) return known;
    const history: MessageHistory = { id, rows: [], children: new Map(), goneAt: null };
    this.#histories.set(id, history);
    this.#byTimestamp.set(microseconds(row['timestamp'] ?? ''), history);
    return history;
  }

  #describe({ channelId, userId, text, children }: Message): string {
    return [channelId, userId, text, ...[...children.values()].sort()].join('\n');
  }
}

/** It comes or goes; what does both in one commit did nothing. */
function flip({ children }: MessageHistory, token: string, commit: number): void {
  const flips = children.get(token) ?? [];
  if (flips.at(-1) === commit) flips.pop();
  else flips.push(commit);
  children.set(token, flips);
}
