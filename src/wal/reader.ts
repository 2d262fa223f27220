import { StreamError } from '../errors.js';
import type { Lsn } from '../lsn.js';

/** Reads one message from its begin to its end, and never past it. Numbers are big-endian. */
export class Reader {
  #data: Buffer = Buffer.alloc(0);
  #at = 0;

  begin(data: Buffer, from: number): void {
    this.#data = data;
    this.#at = from;
  }

  get atEnd(): boolean {
    return this.#at === this.#data.length;
  }

  byte(): number {
    return this.#data[this.skip(1)] ?? 0;
  }

  uint16(): number {
    const at = this.skip(2);
    const data = this.#data;
    return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
  }

  int32(): number {
    const at = this.skip(4);
    const data = this.#data;
    return ((data[at] ?? 0) << 24) | ((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0);
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /** As a number: exact up to 2^53, as every time in microseconds is until the year 2255. */
  int64(): number {
    const high = this.int32();
    return high * 4_294_967_296 + this.uint32();
  }

  lsn(): Lsn {
    return this.#data.readBigUInt64BE(this.skip(8));
  }

  /** A copy: the buffer is the socket's own and is used again. */
  text(length: number): string {
    const at = this.skip(length);
    return this.#data.toString('utf8', at, this.#at);
  }

  /** Text up to the next zero byte. */
  name(): string {
    const end = this.#data.indexOf(0, this.#at);
    if (end < 0) throw new StreamError(`a name in a message of the stream has no end (${this.#data.length} bytes)`);
    const text = this.text(end - this.#at);
    this.#at += 1;
    return text;
  }

  /** @returns where it was */
  skip(length: number): number {
    const at = this.#at;
    if (length > this.#data.length - at) throw new StreamError(`a message of the stream ends too early: ${length} bytes wanted at ${at} of ${this.#data.length}`);
    this.#at = at + length;
    return at;
  }
}
