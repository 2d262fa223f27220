import { LimitError } from './python-errors.js';

/** What is to be done when the way that was taken fails. `a` to `d` are an entry's operands. */
export const ENTRY = {
  /** go on at instruction a, place b; a below 0: begin a round of the `until` at -a-1 */
  resume: 0,
  /** remember with bit a that there was no way */
  failed: 1,
  /** put b back into slot a */
  slot: 2,
  /** a loop at a took from b to c; the most that it took was to d: give one back */
  greedy: 3,
  /** a loop at a took from b to c, and may go to d: take one more */
  lazy: 4,
} as const;

export const ENTRY_SIZE = 5;
/** In numbers: 64 MiB. */
const MOST = 2 ** 24;

/** The stack of a search. */
export class EntryStack {
  data = new Int32Array(ENTRY_SIZE * 64);
  top = 0;

  push(kind: number, a: number, b: number, c: number, d: number): void {
    const { top } = this;
    if (top + ENTRY_SIZE > this.data.length) this.#grow();
    const { data } = this;
    data[top] = kind;
    data[top + 1] = a;
    data[top + 2] = b;
    data[top + 3] = c;
    data[top + 4] = d;
    this.top = top + ENTRY_SIZE;
  }

  #grow(): void {
    const size = this.data.length * 2;
    if (size > MOST) throw new LimitError('the search took too much memory');
    const grown = new Int32Array(size);
    grown.set(this.data);
    this.data = grown;
  }

  /** Leaves, of the entries from `base` on, only those that put slots back. */
  keepSlots(base: number): void {
    let kept = base;
    for (let entry = base; entry < this.top; entry += ENTRY_SIZE) {
      if (this.data[entry] !== ENTRY.slot) continue;
      this.data.copyWithin(kept, entry, entry + ENTRY_SIZE);
      kept += ENTRY_SIZE;
    }
    this.top = kept;
  }

  /** Takes the entries from `base` on away, and puts the slots back. */
  undoSlots(base: number, slots: Int32Array): void {
    while (this.top > base) {
      this.top -= ENTRY_SIZE;
      if (this.data[this.top] === ENTRY.slot) slots[this.data[this.top + 1] ?? 0] = this.data[this.top + 2] ?? 0;
    }
  }
}
