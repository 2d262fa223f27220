import type { Tuple, Write } from '../../conformance/journal.js';
import type { ChildEntity, Children } from '../../src/shape/coalesce.js';
import type { Snapshot } from '../../src/shape/shaper.js';
import type { Entity, Row, Transaction } from '../../src/types.js';
import type { Commit } from '../../torture/journal.js';
import { control, insert, placed, remove, update, type Unplaced } from '../unit/changes.js';

/** What a session does to the chat in one transaction; `message` and `child` choose among what is there. */
export type Deed =
  | { readonly kind: 'say'; readonly channel: number; readonly maintained: boolean }
  | { readonly kind: 'edit' | 'touch' | 'delete' | 'renew'; readonly message: number }
  | { readonly kind: 'move'; readonly message: number; readonly channel: number }
  | { readonly kind: 'child'; readonly message: number; readonly entity: ChildEntity }
  | { readonly kind: 'changeChild' | 'dropChild'; readonly child: number }
  | { readonly kind: 'moveChild'; readonly child: number; readonly message: number }
  | { readonly kind: 'request'; readonly channel: number; readonly type: 'request_update' | 'republish' | 'unpublish' }
  | { readonly kind: 'resync' }
  /** those that are there, this one and the newer */
  | { readonly kind: 'replay'; readonly message: number; readonly webhook: number };

interface Child {
  readonly entity: ChildEntity;
  readonly row: Row;
}

export const CHANNELS = ['c1', 'c2', 'c3'] as const;
export const WEBHOOKS = ['1', '2', '3', '4', '5'] as const;
/** As tables are called without their prefix; a kwarg's is not called what it is. */
const TABLE: Partial<Record<Entity, string>> = { kwarg: 'keywordargument', chatType: 'chattype', webhook: 'webhooks' };
const TOKEN = { reaction: 'reaction', attachment: 'title', kwarg: 'value' } as const;

/** A chat database and its WAL. */
export class SimulatedChat {
  readonly wal: Transaction[] = [];
  readonly commits: Commit[] = [];
  readonly #messages = new Map<string, Row>();
  readonly #children = new Map<string, Child>();
  #serial = 0;
  #end = 0x1000n;
  #changes: Unplaced[] = [];
  #writes: Write[] = [];
  #requests: string[] = [];

  constructor() {
    this.#put('user', 'insert', null, { id: 'u1', api_id: 'USER1' });
    this.#put('chatType', 'insert', null, { id: 't1', name: 'default' });
    for (const id of CHANNELS) this.#put('channel', 'insert', null, { id, chat_type_id: 't1' });
    for (const id of WEBHOOKS) this.#put('webhook', 'insert', null, { id, enabled: 'true', verified: 'true', disabled_reason: null });
    // It is there from the beginning, and in no WAL.
    this.#changes = [];
    this.#commit();
    this.wal.length = 0;
  }

  /** The end of the WAL. */
  get end(): bigint {
    return this.#end;
  }

  transact(deeds: readonly Deed[]): void {
    for (const deed of deeds) this.#do(deed);
    if (this.#changes.length > 0) this.#commit();
  }

  read(ids: readonly string[]): Snapshot {
    const messages = new Map(ids.map((id) => {
      const row = this.#messages.get(id) ?? null;
      const children = (entity: ChildEntity): readonly Row[] => [...this.#children.values()].filter((child) => child.entity === entity && child.row['message_id'] === id).map((child) => child.row);
      const all: Children = { reaction: children('reaction'), attachment: children('attachment'), kwarg: children('kwarg') };
      return [id, { row, maintained: typeof row?.['serialized'] === 'string', children: all }] as const;
    }));
    return { messages, readAt: this.#end };
  }

  lookup(entity: Entity): readonly Row[] {
    if (entity === 'user') return [{ id: 'u1', api_id: 'USER1' }];
    if (entity === 'chatType') return [{ id: 't1', name: 'default', render_to_html: 'f' }];
    return entity === 'channel' ? CHANNELS.map((id) => ({ id, chat_type_id: 't1' })) : [];
  }

  #do(deed: Deed): void {
    switch (deed.kind) {
      case 'say': {
        const serial = (this.#serial += 1);
        const timestamp = `2031-01-01 ${new Date(serial * 1_000).toISOString().slice(11, 19)}+00`;
        this.#message(null, { id: String(serial), timestamp, text: `t${serial}`, channel_id: CHANNELS[deed.channel] ?? 'c1', user_id: 'u1', serialized: deed.maintained ? '{}' : null });
        return;
      }
      case 'child': {
        const messageId = choose(this.#messages, deed.message)?.[0];
        if (messageId === undefined) return;
        const serial = (this.#serial += 1);
        const common = { id: String(serial), message_id: messageId, user_id: 'u1', timestamp: '2031-01-02 00:00:00+00' };
        const own = { reaction: { reaction: `r${serial}`, argument_id: null }, attachment: { title: `a${serial}` }, kwarg: { key: `k${serial}`, value: `v${serial}` } }[deed.entity];
        this.#child(deed.entity, null, { ...common, ...own });
        return;
      }
      case 'changeChild':
      case 'moveChild':
      case 'dropChild': {
        const found = choose(this.#children, deed.child)?.[1];
        if (found === undefined) return;
        const { entity, row } = found;
        if (deed.kind === 'dropChild') this.#child(entity, row, null);
        else if (deed.kind === 'moveChild') this.#child(entity, row, { ...row, message_id: choose(this.#messages, deed.message)?.[0] ?? null });
        else this.#child(entity, row, { ...row, [TOKEN[entity]]: `x${(this.#serial += 1)}` });
        return;
      }
      case 'request': {
        const content = { [deed.type]: CHANNELS[deed.channel] ?? 'c1' };
        this.#ask(content);
        return;
      }
      case 'resync':
        this.#ask({ resync: '*' });
        return;
      case 'replay':
        this.#replay(deed);
        return;
      case 'edit':
      case 'touch':
      case 'renew':
      case 'move':
      case 'delete':
        this.#change(deed);
    }
  }

  #change(deed: Extract<Deed, { kind: 'edit' | 'touch' | 'renew' | 'move' | 'delete' }>): void {
    const before = choose(this.#messages, deed.message)?.[1];
    if (before === undefined) return;
    switch (deed.kind) {
      case 'edit':
        return this.#message(before, { ...before, text: `t${(this.#serial += 1)}` });
      case 'move':
        return this.#message(before, { ...before, channel_id: CHANNELS[deed.channel] ?? 'c1' });
      case 'delete':
        return this.#message(before, null);
      case 'renew':
      case 'touch':
        // Only where `serialized` is maintained does the application renew it.
        if (deed.kind === 'touch' || before['serialized'] !== null) this.#message(before, before);
    }
  }

  /** A message that goes takes its children with it, before itself. */
  #message(before: Row | null, after: Row | null): void {
    const id = String((after ?? before)?.['id']);
    if (after === null) for (const { entity, row } of Array.from(this.#children.values())) if (row['message_id'] === id) this.#child(entity, row, null);
    if (after === null) this.#messages.delete(id);
    else this.#messages.set(id, after);
    this.#put('message', before === null ? 'insert' : after === null ? 'delete' : 'update', before, after);
  }

  #child(entity: ChildEntity, before: Row | null, after: Row | null): void {
    const id = String((after ?? before)?.['id']);
    if (after === null) this.#children.delete(id);
    else this.#children.set(id, { entity, row: after });
    this.#put(entity, before === null ? 'insert' : after === null ? 'delete' : 'update', before, after);
  }

  /** Once in a transaction: two of them could not always be told apart. */
  #ask(request: Readonly<Record<string, string>>): void {
    if (this.#requests.length > 0) return;
    const content = JSON.stringify(request);
    this.#changes.push(control(content));
    this.#requests.push(content);
  }

  /** In a transaction of its own: what is told again of what else is done in it could not be told from that. */
  #replay({ message, webhook }: Extract<Deed, { kind: 'replay' }>): void {
    if (this.#changes.length > 0) return;
    const to = WEBHOOKS[webhook];
    for (const id of [...this.#messages.keys()].slice(-1 - message)) {
      const content = JSON.stringify({ replay: id, ...(to === undefined ? {} : { to: [to] }) });
      this.#changes.push(control(content));
      this.#requests.push(content);
    }
    if (this.#changes.length > 0) this.#commit();
  }

  #put(entity: Entity, op: 'insert' | 'update' | 'delete', before: Row | null, after: Row | null): void {
    if (after === null) this.#changes.push(remove(entity, before ?? {}));
    else this.#changes.push(before === null ? insert(entity, after) : update(entity, before, after));
    const table = TABLE[entity] ?? entity;
    this.#writes.push({ op: op === 'insert' ? 'INSERT' : op === 'update' ? 'UPDATE' : 'DELETE', table, before: tuple(before), after: tuple(after) });
  }

  #commit(): void {
    const xid = this.commits.length + 1;
    const commitLsn = this.#end + 0x10n;
    this.#end = commitLsn + 0x30n;
    const time = Date.now();
    this.wal.push({ xid, commitLsn, endLsn: this.#end, committedAt: time, changes: placed(this.#changes), bytes: 100, part: 0, final: true });
    this.commits.push({ end: this.#end, xid: String(xid), time, writes: this.#writes, requests: this.#requests, bytes: 100 });
    [this.#changes, this.#writes, this.#requests] = [[], [], []];
  }
}

/** One of those that are there, the newer ones more often than not. */
function choose<V>(from: ReadonlyMap<string, V>, number: number): readonly [string, V] | undefined {
  const all = [...from];
  return all.at(-1 - (number % Math.max(1, all.length)));
}

function tuple(row: Row | null): Tuple | null {
  return row === null ? null : Object.fromEntries(Object.entries(row).map(([column, value]) => [column, value ?? null]));
}
