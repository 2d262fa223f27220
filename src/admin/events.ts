import type { DeadLetter, EndpointView, Status } from '../status.js';

/* What the status page is told: types alone, shared by both sides. */

/** One attempt. Times are milliseconds since 1970. */
export interface Attempt {
  /** counts up from 1 */
  readonly seq: number;
  readonly at: number;
  readonly webhookId: string;
  readonly notificationId: string;
  readonly channelId: string;
  readonly attempt: number;
  readonly kind: 'delivered' | 'gone' | 'failed';
  readonly status: number | null;
  readonly reason: string | null;
  /** duration of the attempt, ms */
  readonly ms: number;
  /** from the commit to the answer, ms; null: it does not come straight from the stream */
  readonly latencyMs: number | null;
  /** the beginning of the body */
  readonly body: string;
  readonly bodyLength: number;
}

/** What happened in one span of time. */
export interface Span {
  /** number of the span: its begin in milliseconds since 1970, divided by the length of all of them */
  readonly index: number;
  readonly delivered: number;
  readonly failed: number;
  /** milliseconds from commit to answer of half and of 95 % of the first attempts; null: there were none */
  readonly p50: number | null;
  readonly p95: number | null;
}

export interface LiveStatus extends Omit<Status, 'endpoints'> {
  /** the server's clock, milliseconds since 1970 */
  readonly at: number;
  /** why what is shown of the database is old; null: it is not */
  readonly databaseFault: string | null;
  readonly inFlight: number;
  /** null: not counted yet */
  readonly waiting: number | null;
  readonly dead: number | null;
}

export interface LiveSpans {
  /** the present span */
  readonly index: number;
  /** so many spans are kept, each so many milliseconds long */
  readonly count: number;
  readonly ms: number;
  /** those that are new or may have changed, without those in which nothing happened */
  readonly spans: readonly Span[];
}

/** By the name of the event. */
export interface LiveEvents {
  readonly status: LiveStatus;
  readonly endpoints: readonly EndpointView[];
  /** the newest first */
  readonly dead: readonly DeadLetter[];
  readonly spans: LiveSpans;
  /** those that are new, the oldest first */
  readonly attempts: readonly Attempt[];
}
