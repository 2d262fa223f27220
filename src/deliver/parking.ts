import type { StoredNote } from './conflate.js';
import type { Note } from './delivery.js';

/** A row of slackchat_bridge.deliveries. */
export interface ParkedNote extends Note {
  readonly lane: string;
  readonly attempts: number;
  readonly firstAttemptAt: number | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly nextAttemptAt: number | null;
  /** it does not wait to be sent */
  readonly dead: boolean;
  readonly begun: boolean;
}

/** A row whose time has come: the head of its lane, or what may follow that at once. */
export interface DueNote extends Omit<ParkedNote, 'body' | 'lastStatus' | 'lastError' | 'nextAttemptAt' | 'dead' | 'messageId' | 'updateType' | 'repeated' | 'begun'> {
  readonly parkedAt: number;
  /** everything else goes before it: it is a replay, and nothing in its lane waits for it */
  readonly yields: boolean;
  /** of the body */
  readonly bytes: number;
  /** null: there was no room for it; only of a lane's head */
  readonly body: string | null;
}

/** How much may be brought back. */
export interface Room {
  readonly lanes: number;
  /** all in all; the lanes' heads go before what follows them */
  readonly rows: number;
  /** of the bodies together; heads beyond it, and those larger than it, come without */
  readonly bytes: number;
}

export type ParkedOutcome =
  | { readonly kind: 'delivered' | 'dropped'; readonly notificationId: string; readonly lane: string }
  | {
      readonly kind: 'retry' | 'dead';
      readonly notificationId: string;
      readonly lane: string;
      readonly status: number | null;
      readonly reason: string;
      readonly attempts: number;
      readonly nextAttemptAt: number;
    };

export interface Except {
  readonly lanes: readonly string[];
  /** nothing at all while the stream brings commits once more */
  readonly whileRepeating: boolean;
  /** what yields, while something waits that does not */
  readonly yielding: boolean;
}

/** slackchat_bridge.deliveries, as a backlog needs it. Its calls for one endpoint never overlap. */
export interface Parking {
  /** @param remove ids of rows that go; @returns the lanes in which nothing waits any more */
  park(webhookId: string, notes: readonly ParkedNote[], remove: readonly string[]): Promise<readonly string[]>;
  /** All that waits about these messages, and in the lanes of channels the last about the channel as a whole. */
  waiting(webhookId: string, of: readonly { readonly lane: string; readonly messageId: string }[]): Promise<readonly StoredNote[]>;
  /** In each lane in order and without gaps. @param leastTriedFirst heads alone, those with the fewest attempts first */
  due(webhookId: string, room: Room, except: Except, leastTriedFirst: boolean): Promise<readonly DueNote[]>;
  /** @returns the lanes in which nothing waits any more */
  finish(webhookId: string, outcomes: readonly ParkedOutcome[]): Promise<readonly string[]>;
  /** Some of those that wait for longer than `ageMs` are given up. @returns how many */
  expire(webhookId: string, ageMs: number, reason: string): Promise<number>;
  nextDueAt(webhookId: string, except: Except): Promise<number | null>;
  /** @returns those of these endpoints for which something waits */
  holding(webhookIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Also gives lanes whose head has no time one. @returns null when more than `limit` deliveries wait */
  lanes(webhookId: string, limit: number): Promise<readonly string[] | null>;
}
