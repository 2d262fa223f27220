import type { Program } from './python-regex-program.js';

/** In bits: 32 MiB. */
const MOST = 2 ** 28;

/**
 * From which choices, at which places of the text, there is no way to the end. No such way is tried twice, which makes
 * the work of a search linear in the text.
 */
export class FailedPlaces {
  readonly #program: Program;
  readonly #slots: Int32Array;
  readonly #places: number;
  readonly #bits: Uint8Array;

  /** `slots` are the search's own, and change as it goes on. */
  constructor(program: Program, slots: Int32Array, textLength: number) {
    this.#program = program;
    this.#slots = slots;
    this.#places = textLength + 1;
    this.#bits = new Uint8Array(Math.ceil((program.memoIds * this.#places) / 8));
  }

  static fits(program: Program, textLength: number): boolean {
    return program.memoIds > 0 && program.memoIds * (textLength + 1) <= MOST;
  }

  bit(pc: number, at: number): number {
    const { memo, memoSlots } = this.#program;
    let id = memo[pc] ?? 0;
    const rounds = memoSlots[pc];
    if (rounds !== undefined) {
      for (let i = 0; i < rounds.length; i += 1) if (at > (this.#slots[rounds[i] ?? 0] ?? 0)) id += 1 << i;
    }
    return id * this.#places + at;
  }

  has(bit: number): boolean {
    return ((this.#bits[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
  }

  add(bit: number): void {
    this.#bits[bit >> 3] = (this.#bits[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
}
