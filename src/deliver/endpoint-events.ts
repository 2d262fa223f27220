import type { Outcome, Webhook } from '../types.js';
import type { Note } from './delivery.js';

/** What one endpoint's deliveries come to. */
export interface EndpointEvents {
  /** @param ms the attempt's duration; @param committedAt of one that comes straight from the stream, milliseconds since 1970 */
  attempted(webhook: Webhook, note: Note, outcome: Outcome, attempt: number, ms: number, committedAt: number | null): void;
  parked(webhook: Webhook, count: number): void;
  dead(webhook: Webhook, count: number): void;
  /** so many went into the net effect of others, or came to nothing with them */
  collapsed(webhook: Webhook, count: number): void;
  /** it fails as a whole */
  failing(webhook: Webhook, reason: string): void;
  recovered(webhook: Webhook): void;
  gone(webhook: Webhook, reason: string): void;
  storeFault(webhook: Webhook, reason: string): void;
}
