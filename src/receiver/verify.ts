import { createHmac, timingSafeEqual } from 'node:crypto';
import { SignatureError } from './errors.js';
import { headerOf, type RequestHeaders } from './headers.js';

const TOLERANCE_SECONDS = 300;

export interface VerifyOptions {
  /** how far `webhook-timestamp` may be off, either way: 300 */
  readonly toleranceSeconds?: number;
  readonly now?: Date;
}

/**
 * Checks the Standard Webhooks signature of a request.
 * @param body as it came, before anything parsed it
 * @param secrets 'whsec_…'; several, in an array or separated by spaces, while one is rotated out
 * @throws {SignatureError} saying what is wrong
 */
export function verify(headers: RequestHeaders, body: string | Uint8Array, secrets: string | readonly string[], options: VerifyOptions = {}): void {
  const fault = verifySignature(headers, body, secrets, options.now ?? new Date(), options.toleranceSeconds);
  if (fault !== null) throw new SignatureError(fault);
}

/** @returns why the signature is not right; null when it is */
export function verifySignature(
  headers: RequestHeaders,
  body: string | Uint8Array,
  secrets: string | readonly string[],
  now: Date,
  toleranceSeconds = TOLERANCE_SECONDS,
): string | null {
  const [id, timestamp, signatures] = [headerOf(headers, 'webhook-id'), headerOf(headers, 'webhook-timestamp'), headerOf(headers, 'webhook-signature')];
  if (id === undefined || timestamp === undefined || signatures === undefined) return 'the request is not signed';
  if (!/^\d{1,12}$/u.test(timestamp)) return 'webhook-timestamp is not a number of seconds';
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > toleranceSeconds) return `webhook-timestamp is more than ${inWords(toleranceSeconds)} off`;
  const given = signatures.split(' ').filter((part) => part.startsWith('v1,')).map((part) => Buffer.from(part.slice(3), 'base64'));
  const expected = keysOf(secrets).map((key) => createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest());
  const matches = given.some((one) => expected.some((other) => one.length === other.length && timingSafeEqual(one, other)));
  return matches ? null : 'the signature does not match';
}

/** Empty ones, such as a space too many leaves, are no keys: anybody could sign with them. */
export function keysOf(secrets: string | readonly string[]): readonly Buffer[] {
  const each = typeof secrets === 'string' ? [secrets] : secrets;
  return each.flatMap((one) => one.split(' ')).map((one) => Buffer.from(one.replace(/^whsec_/u, ''), 'base64')).filter((key) => key.length > 0);
}

const inWords = (seconds: number): string => (seconds === TOLERANCE_SECONDS ? 'five minutes' : `${seconds} seconds`);
