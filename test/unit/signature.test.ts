import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { Signer } from '../../src/deliver/signature.js';
import { verifySignature } from '../../src/receiver/verify.js';

const OLD = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const NEW = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
const FOREIGN = 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX';
const BODY = Buffer.from('{"type":"update_notification","content":"ü \u{1F600}"}');
/** The package reads the clock itself. */
const now = (): number => Math.floor(Date.now() / 1000);

function headers(timestamp: number, signature: string, id = 'msg-1'): Record<string, string> {
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signature };
}

/** What the package of Standard Webhooks says. */
function accepted(secret: string, signed: Record<string, string>, body: Buffer): boolean {
  try {
    new Webhook(secret).verify(body, signed, { jsonParse: false });
    return true;
  } catch {
    return false;
  }
}

const secret = fc.uint8Array({ minLength: 24, maxLength: 64 }).map((bytes) => `whsec_${Buffer.from(bytes).toString('base64')}`);
const id = fc.stringMatching(/^[\w-]{1,60}$/u);
const text = fc.string({ unit: 'grapheme' });

describe('a signature', () => {
  test('is what the package of Standard Webhooks makes of the same', () => {
    fc.assert(
      fc.property(secret, id, fc.nat(), text, (key, name, seconds, body) => {
        expect(new Signer(key).sign(name, seconds, Buffer.from(body))).toBe(new Webhook(key).sign(name, new Date(seconds * 1000), body));
      }),
    );
  });

  test('of two secrets is accepted by whoever holds either, and the first stands first', () => {
    const timestamp = now();
    const signature = new Signer(`${NEW} ${OLD}`).sign('msg-1', timestamp, BODY);
    expect(signature.split(' ')).toEqual([new Signer(NEW).sign('msg-1', timestamp, BODY), new Signer(OLD).sign('msg-1', timestamp, BODY)]);
    for (const key of [NEW, OLD]) expect(accepted(key, headers(timestamp, signature), BODY)).toBe(true);
    expect(accepted(FOREIGN, headers(timestamp, signature), BODY)).toBe(false);
  });
});

describe("the receiver's check", () => {
  const timestamp = 1_539_710_629;
  const at = (seconds: number): Date => new Date((timestamp + seconds) * 1000);
  const right = new Signer(OLD).sign('msg-1', timestamp, BODY);
  const signed = headers(timestamp, right);

  test('accepts what is signed with one of its secrets', () => {
    expect(verifySignature(signed, BODY, OLD, at(0))).toBe(null);
    expect(verifySignature(signed, BODY, OLD.replace('whsec_', ''), at(0))).toBe(null);
    expect(verifySignature(signed, BODY, `${NEW} ${OLD}`, at(0))).toBe(null);
    expect(verifySignature(headers(timestamp, new Signer(`${NEW} ${OLD}`).sign('msg-1', timestamp, BODY)), BODY, OLD, at(0))).toBe(null);
  });

  test('says why it refuses', () => {
    expect(verifySignature(signed, BODY, NEW, at(0))).toBe('the signature does not match');
    expect(verifySignature(signed, Buffer.concat([BODY, Buffer.from(' ')]), OLD, at(0))).toBe('the signature does not match');
    expect(verifySignature({ ...signed, 'webhook-id': 'msg-2' }, BODY, OLD, at(0))).toBe('the signature does not match');
    expect(verifySignature({ ...signed, 'webhook-timestamp': String(timestamp + 1) }, BODY, OLD, at(0))).toBe('the signature does not match');
    expect(verifySignature({ ...signed, 'webhook-timestamp': 'soon' }, BODY, OLD, at(0))).toMatch('not a number');
    for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature'])
      expect(verifySignature({ ...signed, [name]: undefined }, BODY, OLD, at(0))).toBe('the request is not signed');
  });

  test('refuses what is more than five minutes old, or as far in the future', () => {
    for (const seconds of [-300, 0, 300]) expect(verifySignature(signed, BODY, OLD, at(seconds))).toBe(null);
    for (const seconds of [-301, 301, 86_400]) expect(verifySignature(signed, BODY, OLD, at(seconds))).toMatch('five minutes');
  });

  test('is not taken in by other versions, empty signatures or cut ones', () => {
    for (const signature of ['', 'v1,', 'v1', 'v1a,xxxx', right.replace('v1,', 'v2,'), right.slice(0, -8), right.slice(3), `v1,${'A'.repeat(44)}`]) {
      expect(verifySignature({ ...signed, 'webhook-signature': signature }, BODY, OLD, at(0))).toBe('the signature does not match');
    }
    expect(verifySignature({ ...signed, 'webhook-signature': `v2,x v1,AAAA ${right}` }, BODY, OLD, at(0))).toBe(null);
  });

  test('never takes an empty secret, such as a space too many leaves, for a key', () => {
    const empty = createHmac('sha256', '').update(`msg-1.${timestamp}.`).update(BODY).digest('base64');
    const forged = headers(timestamp, `v1,${empty}`);
    for (const secrets of [`${OLD} `, ` ${OLD}`, `${OLD}  ${NEW}`, `${OLD} whsec_`]) {
      expect(verifySignature(forged, BODY, secrets, at(0)), JSON.stringify(secrets)).not.toBe(null);
    }
    expect(verifySignature(signed, BODY, `${NEW}  ${OLD} `, at(0))).toBe(null);
  });

  test('decides as the package does, whatever is changed on the way', () => {
    const change = fc.constantFrom('nothing', 'id', 'timestamp', 'body', 'secret', 'old', 'future', 'signature', 'missing', 'second');
    fc.assert(
      fc.property(secret, secret, id, text, change, (key, other, name, body, changed) => {
        const seconds = now() + (changed === 'old' ? -310 : changed === 'future' ? 310 : 0);
        const signature = new Signer(changed === 'second' ? `${other} ${key}` : key).sign(name, seconds, Buffer.from(body));
        const sent: Record<string, string> = headers(
          seconds,
          changed === 'signature' ? `v1,${signature.slice(4)}` : signature,
          changed === 'id' ? `${name}x` : name,
        );
        if (changed === 'timestamp') sent['webhook-timestamp'] = String(seconds - 1);
        if (changed === 'missing') delete sent['webhook-signature'];
        const received = Buffer.from(changed === 'body' ? `${body}x` : body);
        const held = changed === 'secret' ? other : key;
        expect(verifySignature(sent, received, held, new Date()) === null).toBe(accepted(held, sent, received));
      }),
      { numRuns: 300 },
    );
  });
});
