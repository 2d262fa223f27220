import type { Lsn } from './lsn.js';

/** The tables that the bridge reads, by what their rows are; their real names are in the mapping. */
export type Entity =
  | 'message'
  | 'reaction'
  | 'attachment'
  | 'kwarg'
  | 'user'
  | 'channel'
  | 'chatType'
  | 'argument'
  | 'template'
  /** slackchat_bridge.webhooks */
  | 'webhook'
  /** the application's own table of webhooks */
  | 'appWebhook';

/**
 * One row as the WAL or a query has it: column (logical name) → its text, raw, so that no microsecond
 * and no digit is lost. `undefined`: an unchanged TOAST value that the WAL left out.
 */
export type Row = Readonly<Record<string, string | null | undefined>>;

/**
 * `before` is the old row as far as the replica identity shows it; an update that changed nothing of
 * an identity index comes without one.
 */
export type RowChange =
  | { readonly op: 'insert'; readonly entity: Entity; readonly before: null; readonly after: Row }
  | { readonly op: 'update'; readonly entity: Entity; readonly before: Row | null; readonly after: Row }
  | { readonly op: 'delete'; readonly entity: Entity; readonly before: Row; readonly after: null };

/** `index` counts the changes of the transaction from 0; the first part of a split one goes on counting. */
export type Change =
  | ({ readonly kind: 'row'; readonly index: number } & RowChange)
  | { readonly kind: 'truncate'; readonly index: number; readonly entities: readonly Entity[] }
  | { readonly kind: 'control'; readonly index: number; readonly content: string };

/**
 * A committed transaction, or one part of a very large one. Parts come in order; only the last has
 * `final` set, and only that one's `endLsn` may be confirmed.
 */
export interface Transaction {
  readonly xid: number;
  readonly commitLsn: Lsn;
  /** end of the commit record; in a part that is not final, the commit record's begin */
  readonly endLsn: Lsn;
  /** milliseconds since 1970, by the server's clock */
  readonly committedAt: number;
  readonly changes: readonly Change[];
  readonly bytes: number;
  readonly part: number;
  readonly final: boolean;
}

export type UpdateType = 'message_created' | 'message_changed' | 'message_deleted';

export interface Notification {
  /** the `webhook-id` header: the same for every attempt, endpoint and run */
  readonly id: string;
  readonly lsn: Lsn;
  /** order among the notifications of one transaction */
  readonly seq: number;
  readonly committedAt: number;
  readonly channelId: string;
  /** null: about the channel as a whole */
  readonly messageId: string | null;
  readonly chatType: string | null;
  /** null: an explicit request, or about the channel as a whole; always sent */
  readonly updateType: UpdateType | null;
  /** only to these endpoints; null: to all that want it */
  readonly webhookIds: readonly string[] | null;
  /** the JSON object without its token; begins with `{"type":` */
  readonly body: string;
  /** a message comes to a channel in which it may have been told of before */
  readonly foretold?: boolean;
  /** why it is sent to nobody: it is dead for each endpoint that wants it */
  readonly dead?: string;
  /** told once more because somebody asked for it: whatever update types an endpoint wants, and behind all else */
  readonly replay?: true;
}

/** One row of slackchat_bridge.webhooks. */
export interface Webhook {
  readonly id: string;
  readonly endpoint: string;
  readonly token: string | null;
  readonly secret: string | null;
  readonly chatTypes: readonly string[] | null;
  readonly updateTypes: readonly string[] | null;
  readonly ordering: 'message' | 'channel';
  readonly conflate: boolean;
  readonly maxInFlight: number;
  readonly enabled: boolean;
  readonly verified: boolean;
  /** the application has it for verified, and the bridge's own challenge is not decided: what is for it is stored until it is */
  readonly awaited: boolean;
  /** told only of what is committed at this position or later; null: of everything */
  readonly deliverFrom: Lsn | null;
  /** by an earlier process told of everything that is committed at this position or later; null: nothing is known */
  readonly completeSince: Lsn | null;
  /** the row says why something failed */
  readonly failureNoted: boolean;
}

/** What came of one HTTP request. `status` is null when no answer came. */
export type Outcome =
  | { readonly kind: 'delivered'; readonly status: number }
  | { readonly kind: 'gone'; readonly status: number; readonly reason: string }
  | { readonly kind: 'failed'; readonly status: number | null; readonly reason: string; readonly retryAfterMs: number | null };
