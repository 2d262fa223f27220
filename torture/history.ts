import type { Tuple } from '../conformance/journal.js';
import type { Commit } from './journal.js';

export type Kind = 'message_created' | 'message_changed' | 'message_deleted' | 'channel' | 'republish_request' | 'unpublish_request';

/** What receivers had to be told because of one commit. */
export interface Event {
  /** the same for every endpoint and attempt */
  readonly key: string;
  /** index of the commit */
  readonly commit: number;
  readonly kind: Kind;
  readonly messageId: string | null;
  readonly channelId: string;
  /** null: not known */
  readonly chatType: string | null;
  /** only to this one; null: to all */
  readonly webhookId: string | null;
  /** in place of others, or for nothing that is left: it may stay away */
  readonly dispensable: boolean;
  /** a change of children alone, of a message that has moved since: it is told where the message is by then */
  readonly elsewhere: boolean;
  /** its channel is deleted by this commit or later */
  readonly channelGoes: boolean;
  /** of a transaction so large that it may be told in parts */
  readonly split: boolean;
  /** the message's row was not written */
  readonly childOnly: boolean;
  /** it may have waited for the application's own UPDATE */
  readonly held: boolean;
  /** somebody asked for it: it is told whatever update types an endpoint wants */
  readonly replay: boolean;
  /** for a deletion: which states of the row it may show */
  readonly rows: readonly [number, number] | null;
}

/** One state of a message's row. */
export interface RowState {
  readonly commit: number;
  readonly user: string;
  readonly text: string;
}

export interface MessageHistory {
  readonly id: string;
  /** each write of the row; the index is its version */
  readonly rows: RowState[];
  /** by child: the commits at which it came, went, came … */
  readonly children: Map<string, number[]>;
  /** the commit that deleted it, or emptied its table */
  goneAt: number | null;
}

/** A webhook's row as one commit left it. */
export interface Standing {
  readonly commit: number;
  readonly active: boolean;
  /** it answered 410: what waited for it is dropped */
  readonly gone: boolean;
}

/** All that was committed, and what had to be told of it. */
export interface History {
  readonly commits: readonly Commit[];
  readonly ledger: ReadonlyMap<number, { readonly commit: number; readonly deed: string }>;
  readonly messages: ReadonlyMap<string, MessageHistory>;
  /** by its timestamp, microseconds since 1970 */
  readonly byTimestamp: ReadonlyMap<string, MessageHistory>;
  /** all that there ever were */
  readonly channels: ReadonlySet<string>;
  readonly events: readonly Event[];
  readonly webhooks: ReadonlyMap<string, readonly Standing[]>;
  /** commits that tell of every channel: also of one that is made before they are told */
  readonly announcing: ReadonlySet<number>;
  /** commits at which every endpoint was told of every channel, because changes were missed */
  readonly resyncs: readonly number[];
  /** the chat as it is at the end: each message's row and children as one text */
  readonly final: ReadonlyMap<string, string>;
}

/** A change is told in the channel where its message is by then. */
export function eventKey(commit: number, kind: Kind, messageId: string | null, channelId: string): string {
  if (messageId === null) return `${commit} ${kind} channel ${channelId}`;
  return `${commit} ${kind} message ${messageId}${kind === 'message_changed' ? '' : ` channel ${channelId}`}`;
}

/** @returns the index of the commit whose record begins at this LSN or holds it; -1 when there is none */
export function commitAt(commits: readonly Commit[], lsn: bigint): number {
  let low = 0;
  let high = commits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((commits[middle]?.end ?? 0n) > lsn) high = middle;
    else low = middle + 1;
  }
  return low < commits.length ? low : -1;
}

/** How a child shows in a payload: each state of each child has a text of its own. */
export function childToken(table: string, row: Tuple, argumentName: string): string {
  if (table === 'attachment') return `attachment ${row['title'] ?? ''}`;
  if (table === 'keywordargument') return `kwarg ${row['key'] ?? ''}=${row['value'] ?? ''}`;
  return row['argument_id'] === null ? `reaction ${row['reaction'] ?? ''}` : `arg ${argumentName}`;
}

/** "2026-07-28 10:00:00.12+00" and "2026-07-28T10:00:00.120000Z" as microseconds since 1970. */
export function microseconds(timestamp: string): string {
  const [, date = '', time = '', fraction = ''] = /^(\S+)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00)$/u.exec(timestamp) ?? [];
  return `${Date.parse(`${date}T${time}Z`) / 1000}${fraction.padEnd(6, '0')}`;
}
