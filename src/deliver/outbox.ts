import type { Delivery } from './delivery.js';
import type { ParkedNote } from './parking.js';

export const WRITE_BATCH = 500;
/** Of their bodies in one statement, unless one alone is larger. */
const WRITE_CHARACTERS = 2_000_000;

/** What of it is written at once. */
export function batchOf(outbox: readonly Delivery[]): readonly Delivery[] {
  let characters = 0;
  const end = outbox.findIndex(({ note }, index) => index === WRITE_BATCH || (index > 0 && (characters += note.body.length) > WRITE_CHARACTERS));
  return end < 0 ? outbox.slice() : outbox.slice(0, end);
}

/** @param collapsible others may collapse with it */
export function rowOf(delivery: Delivery, collapsible: boolean): ParkedNote {
  const { note: { notificationId, lsn, seq, channelId, messageId, updateType, repeated, replay, body }, lane, attempts, firstAttemptAt, lastStatus, lastError, nextAttemptAt, dead, begun } = delivery;
  // One by one: an object that is spread takes ten times as long.
  return {
    notificationId, lsn, seq, channelId, messageId, updateType: collapsible ? updateType : null, repeated, replay, body,
    lane, attempts, firstAttemptAt, lastStatus, lastError, nextAttemptAt, dead, begun,
  };
}
