import type { Filter } from './tcp-proxy.js';

const COPY_DATA = 0x64; // 'd'
const XLOG_DATA = 0x77; // 'w'

/**
 * For a proxy before PostgreSQL, without TLS: a walsender that answers, sends keepalives, and keeps what is
 * committed to itself.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export class MuteStream {
  /** What is committed passes. */
  speaks = true;

  readonly filter = (): Filter => {
    let held = Buffer.alloc(0);
    return (chunk) => {
      held = Buffer.concat([held, chunk]);
      const passing: Buffer[] = [];
      // A type, the length of the rest with itself, the rest.
      while (held.length >= 5) {
        const end = 1 + held.readUInt32BE(1);
        if (held.length < end) break;
        const message = held.subarray(0, end);
        held = held.subarray(end);
        if (this.speaks || message[0] !== COPY_DATA || message[5] !== XLOG_DATA) passing.push(message);
      }
      return Buffer.concat(passing);
    };
  };
}
