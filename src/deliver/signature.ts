import { createHmac, hash } from 'node:crypto';

/** SHA-256's, in bytes. */
const BLOCK = 64;
/** Bodies up to so many bytes are signed in this buffer, one after another. */
const SHORT = 16_384;
const scratch = Buffer.alloc(BLOCK + SHORT);

/**
 * Standard Webhooks signatures: HMAC-SHA256 over "id.timestamp.body", one for each secret, the newer
 * one first, so that receivers may hold either while one is rotated out.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export class Signer {
  readonly #keys: readonly Key[];

  /** @param secrets 'whsec_…', one or more, separated by spaces */
  constructor(secrets: string) {
    this.#keys = secrets.split(' ').filter((secret) => !/^(whsec_)?$/u.test(secret)).map((secret) => new Key(Buffer.from(secret.replace(/^whsec_/u, ''), 'base64')));
  }

  /** @param timestamp seconds since 1970 */
  sign(id: string, timestamp: number, ...body: readonly Buffer[]): string {
    const head = `${id}.${timestamp}.`;
    let end = BLOCK + Buffer.byteLength(head);
    for (const part of body) end += part.length;
    if (end > scratch.length) return this.#keys.map((key) => key.signInParts(head, body)).join(' ');
    let at = BLOCK + scratch.write(head, BLOCK);
    for (const part of body) {
      scratch.set(part, at);
      at += part.length;
    }
    const message = scratch.subarray(0, end);
    const [only] = this.#keys;
    if (only !== undefined && this.#keys.length === 1) return only.sign(message);
    return this.#keys.map((key) => key.sign(message)).join(' ');
  }
}

/**
 * HMAC by its definition (RFC 2104), hash(outer key, hash(inner key, message)): two calls that leave no
 * object behind take 1.2 µs for a message of 300 bytes, where an Hmac takes 1.9.
 */
class Key {
  readonly #key: Buffer;
  readonly #inner = Buffer.alloc(BLOCK, 0x36);
  /** with room for the inner hash */
  readonly #outer = Buffer.alloc(BLOCK + 32, 0x5c);

  constructor(key: Buffer) {
    this.#key = key;
    const block = key.length > BLOCK ? hash('sha256', key, 'buffer') : key;
    for (const [index, byte] of block.entries()) {
      this.#inner[index] = 0x36 ^ byte;
      this.#outer[index] = 0x5c ^ byte;
    }
  }

  /** @param message with room for a block before it */
  sign(message: Buffer): string {
    message.set(this.#inner, 0);
    this.#outer.write(hash('sha256', message, 'binary'), BLOCK, 'latin1');
    return `v1,${hash('sha256', this.#outer, 'base64')}`;
  }

  signInParts(head: string, parts: readonly Buffer[]): string {
    const hmac = createHmac('sha256', this.#key).update(head);
    for (const part of parts) hmac.update(part);
    return `v1,${hmac.digest('base64')}`;
  }
}
