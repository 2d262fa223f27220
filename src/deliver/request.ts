import { formatLsn } from '../lsn.js';
import type { AttemptRequest } from './attempt.js';
import { bodyOf } from './body.js';
import type { Note } from './delivery.js';
import type { Signer } from './signature.js';

/**
 * What is sent, now.
 * @param head with which each body begins
 * @param resolved headers of what is known of the endpoint's completeness
 */
export function requestOf(note: Note, head: Buffer, userAgent: string, resolved: readonly string[], signer: Signer | null): AttemptRequest {
  const { notificationId, lsn, replay } = note;
  const body = bodyOf(note, head);
  const timestamp = Math.floor(Date.now() / 1000);
  const headers = ['content-type', 'application/json', 'user-agent', userAgent, 'webhook-id', notificationId, 'webhook-timestamp', String(timestamp), 'slackchat-commit-lsn', formatLsn(lsn), ...resolved];
  if (replay) headers.push('slackchat-replay', 'true');
  if (signer !== null) headers.push('webhook-signature', signer.sign(notificationId, timestamp, ...body.parts));
  return { headers, body };
}
