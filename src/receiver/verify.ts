import { createHmac, timingSafeEqual } from 'node:crypto';

export interface SignedHeaders {
  readonly 'webhook-id'?: string | undefined;
  readonly 'webhook-timestamp'?: string | undefined;
  readonly 'webhook-signature'?: string | undefined;
}

const TOLERANCE_SECONDS = 300;

/**
 * Checks a Standard Webhooks signature over the raw body.
 * @param secrets 'whsec_…', one or more, separated by spaces
 * @returns why it is not right; null when it is
 */
export function verifySignature(headers: SignedHeaders, body: Buffer, secrets: string, now: Date): string | null {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
  if (id === undefined || timestamp === undefined || signatures === undefined) return 'the request is not signed';
  if (!/^\d{1,12}$/u.test(timestamp)) return 'webhook-timestamp is not a number of seconds';
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return 'webhook-timestamp is more than five minutes off';
  const given = signatures.split(' ').filter((part) => part.startsWith('v1,')).map((part) => Buffer.from(part.slice(3), 'base64'));
  const expected = secrets.split(' ').filter((secret) => !/^(whsec_)?$/u.test(secret)).map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/u, ''), 'base64');
    return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
  });
  const matches = given.some((one) => expected.some((other) => one.length === other.length && timingSafeEqual(one, other)));
  return matches ? null : 'the signature does not match';
}
