import { asciiLower, lower } from './python-characters.js';
import { ImpatientError, LimitError, type Patience } from './python-errors.js';
import { FailedPlaces } from './python-regex-memo.js';
import { isAt } from './python-regex-position.js';
import { CASE, OP, type Program } from './python-regex-program.js';
import { ENTRY, ENTRY_SIZE, EntryStack } from './python-regex-stack.js';

/**
 * How much work one search may be. Where what follows a choice depends only on the place in the text, places that
 * failed are remembered, so the work is linear in the text, and so is the allowance. Elsewhere (back-references,
 * conditions, repetitions counted past what is written out) it is a flat one. A million steps take some 25 ms.
 */
const STEPS = { flat: 3_000_000, perCharacter: 200, most: 40_000_000 } as const;
/** Failed places are remembered from this step on: short searches do without. */
const MEMO_FROM = 2_000;

/**
 * Searches one text. Backtracks in the order in which Python does, so that groups come out the same,
 * on a stack of its own; a search that takes too long or too much memory throws a LimitError.
 */
export class Machine {
  readonly #program: Program;
  readonly #text: Uint32Array;
  readonly #slots: Int32Array;
  readonly #stack = new EntryStack();
  #steps = 0;
  readonly #allowed: number;
  readonly #patience: Patience | null;
  readonly #memoFrom: number;
  #memo: FailedPlaces | null = null;
  /** where #backtrack leads to */
  #resumePc = 0;
  #resumeAt = 0;

  /** @param patience null: as much as there is for any search */
  constructor(program: Program, text: Uint32Array, patience: Patience | null) {
    this.#patience = patience;
    this.#program = program;
    this.#text = text;
    this.#slots = new Int32Array(program.slots).fill(-1);
    const linear = FailedPlaces.fits(program, text.length);
    this.#memoFrom = linear ? MEMO_FROM : Infinity;
    this.#allowed = linear ? Math.min(STEPS.flat + STEPS.perCharacter * text.length, STEPS.most) : STEPS.flat;
  }

  /** The slots of the leftmost match, or null. */
  search(): Int32Array | null {
    const { anchored, firstSet, sets } = this.#program;
    const first = firstSet < 0 ? undefined : sets[firstSet];
    const last = anchored ? 0 : this.#text.length;
    for (let start = 0; start <= last; start += 1) {
      if (first !== undefined && (start === this.#text.length || !first.has(this.#text[start] ?? 0))) {
        this.#spend(1);
        continue;
      }
      if (this.#run(0, start) >= 0) return this.#slots;
    }
    return null;
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#patience !== null && (this.#patience.steps -= steps) < 0) throw new ImpatientError('the search took too many steps');
    if (this.#steps > this.#allowed) throw new LimitError(`the search took more than ${this.#allowed} steps`);
  }

  #setSlot(slot: number, value: number): void {
    this.#stack.push(ENTRY.slot, slot, this.#slots[slot] ?? -1, 0, 0);
    this.#slots[slot] = value;
  }

  /** From an instruction and a place to the next `end`: where that is in the text, or -1. */
  #run(startPc: number, startAt: number): number {
    const { op, a, b, c, sets, counters } = this.#program;
    const text = this.#text;
    const slots = this.#slots;
    const stack = this.#stack;
    const base = stack.top;
    let pc = startPc;
    let at = startAt;
    for (;;) {
      this.#spend(1);
      if (this.#steps > this.#memoFrom) this.#memo ??= new FailedPlaces(this.#program, slots, text.length);
      let ok = true;
      const operand = a[pc] ?? 0;
      switch (op[pc]) {
        case OP.end:
          return at;
        case OP.char:
          ok = text[at] === operand;
          at += 1;
          pc += 1;
          break;
        case OP.set:
          ok = at < text.length && sets[operand]?.has(text[at] ?? 0) === true;
          at += 1;
          pc += 1;
          break;
        case OP.run: {
          const to = at + (b[pc] ?? 0);
          ok = to <= text.length && this.#scan(operand, at, to) === to;
          at = to;
          pc += 1;
          break;
        }
        case OP.save:
        case OP.enter:
          this.#setSlot(operand, at);
          pc += 1;
          break;
        case OP.position:
          ok = isAt(text, operand, at);
          pc += 1;
          break;
        case OP.jump:
          pc = operand;
          break;
        case OP.split:
          ok = this.#open(pc, at);
          if (ok) stack.push(ENTRY.resume, b[pc] ?? 0, at, 0, 0);
          pc = operand;
          break;
        case OP.loop: {
          ok = this.#open(pc, at);
          if (!ok) break;
          const most = b[pc] ?? 0;
          const to = most < 0 ? text.length : Math.min(text.length, at + most);
          if (c[pc] === 1) {
            stack.push(ENTRY.lazy, pc, at, at, to);
          } else {
            const end = this.#scanOpen(pc, operand, at, to, most < 0);
            if (end > at) stack.push(ENTRY.greedy, pc, at, end, end);
            at = end;
          }
          pc += 1;
          break;
        }
        case OP.loopAll: {
          const most = b[pc] ?? 0;
          at = this.#scan(operand, at, most < 0 ? text.length : Math.min(text.length, at + most));
          pc += 1;
          break;
        }
        case OP.check:
          pc = slots[operand] === at ? (b[pc] ?? 0) : pc + 1;
          break;
        case OP.begin:
          this.#setSlot(operand, 0);
          this.#setSlot(b[pc] ?? 0, -1);
          pc += 1;
          break;
        case OP.next:
          this.#setSlot(operand, (slots[operand] ?? 0) + 1);
          pc += 1;
          break;
        case OP.until: {
          const counter = counters.get(pc);
          const count = slots[operand] ?? 0;
          const exit = b[pc] ?? 0;
          if (counter === undefined) throw new Error('a counted repetition has no bounds');
          if (count < counter.min) {
            pc += 1;
          } else if (count >= counter.max || slots[counter.start] === at) {
            pc = exit;
          } else if (counter.lazy) {
            // Comes back here to begin the round: `counter.start` is set then.
            stack.push(ENTRY.resume, -pc - 1, at, 0, 0);
            pc = exit;
          } else {
            stack.push(ENTRY.resume, exit, at, 0, 0);
            this.#setSlot(counter.start, at);
            pc += 1;
          }
          break;
        }
        case OP.look: {
          const back = b[pc] ?? 0;
          const from = back < 0 ? at : at - back;
          const found = from >= 0 && this.#inner(pc + 1, from, c[pc] === 1) >= 0;
          ok = found !== (c[pc] === 1);
          pc = operand;
          break;
        }
        case OP.atomic:
          at = this.#inner(pc + 1, at, false);
          ok = at >= 0;
          pc = operand;
          break;
        case OP.reference: {
          const end = this.#repeated(operand, b[pc] ?? 0, at);
          ok = end >= 0;
          at = end;
          pc += 1;
          break;
        }
        case OP.when:
          pc = this.#isSet(operand) ? pc + 1 : (b[pc] ?? 0);
          break;
        default:
          throw new Error(`unknown instruction ${op[pc]}`);
      }
      if (ok) continue;
      if (!this.#backtrack(base)) return -1;
      pc = this.#resumePc;
      at = this.#resumeAt;
    }
  }

  /** To the latest choice that has a way left; false where there is none above the base. */
  #backtrack(base: number): boolean {
    const { a, b, counters } = this.#program;
    const stack = this.#stack;
    while (stack.top > base) {
      this.#spend(1);
      const { data } = stack;
      const entry = stack.top - ENTRY_SIZE;
      const first = data[entry + 1] ?? 0;
      const second = data[entry + 2] ?? 0;
      const current = data[entry + 3] ?? 0;
      const most = data[entry + 4] ?? 0;
      switch (data[entry]) {
        case ENTRY.resume: {
          stack.top = entry;
          const until = -first - 1;
          if (until >= 0) this.#setSlot(counters.get(until)?.start ?? 0, second);
          return this.#resume(until >= 0 ? until + 1 : first, second);
        }
        case ENTRY.failed:
          this.#memo?.add(first);
          break;
        case ENTRY.slot:
          this.#slots[first] = second;
          break;
        case ENTRY.greedy:
          if (current > second) {
            data[entry + 3] = current - 1;
            return this.#resume(first + 1, current - 1);
          }
          this.#failRange(first, second, most);
          break;
        default:
          if (
            current < most &&
            this.#scanOpen(first, a[first] ?? 0, current, current + 1, (b[first] ?? 0) < 0) > current
          ) {
            data[entry + 3] = current + 1;
            return this.#resume(first + 1, current + 1);
          }
          this.#failRange(first, second, current);
      }
      stack.top = entry;
    }
    return false;
  }

  #resume(pc: number, at: number): true {
    this.#resumePc = pc;
    this.#resumeAt = at;
    return true;
  }

  /** Whether this choice at this place may still lead to the end; if so its failure will be remembered. */
  #open(pc: number, at: number): boolean {
    if (this.#memo === null) return true;
    const bit = this.#memo.bit(pc, at);
    if (this.#memo.has(bit)) return false;
    this.#stack.push(ENTRY.failed, bit, 0, 0, 0);
    return true;
  }

  /** A loop over one set failed from `from`, having gone as far as `to`: it fails from every place between too. */
  #failRange(pc: number, from: number, to: number): void {
    if (this.#memo === null || (this.#program.b[pc] ?? 0) >= 0) return;
    this.#spend((to - from) >> 3);
    for (let at = from + 1; at <= to; at += 1) this.#memo.add(this.#memo.bit(pc, at));
  }

  #scan(set: number, from: number, to: number): number {
    const members = this.#program.sets[set];
    const text = this.#text;
    let at = from;
    while (at < to && members?.has(text[at] ?? 0) === true) at += 1;
    this.#spend((at - from) >> 2);
    return at;
  }

  /** The same, but not to places from which the loop is known to fail. */
  #scanOpen(pc: number, set: number, from: number, to: number, endless: boolean): number {
    const memo = this.#memo;
    if (memo === null || !endless) return this.#scan(set, from, to);
    const members = this.#program.sets[set];
    const text = this.#text;
    let at = from;
    while (at < to && members?.has(text[at] ?? 0) === true && !memo.has(memo.bit(pc, at + 1))) at += 1;
    this.#spend((at - from) >> 2);
    return at;
  }

  /** A part with an end of its own. Choices in it are not gone back to; the groups that it set stay set. */
  #inner(pc: number, at: number, undo: boolean): number {
    const base = this.#stack.top;
    const end = this.#run(pc, at);
    if (end < 0) return -1;
    if (undo) this.#stack.undoSlots(base, this.#slots);
    else this.#stack.keepSlots(base);
    return end;
  }

  #isSet(group: number): boolean {
    const from = this.#slots[2 * group - 2] ?? -1;
    const to = this.#slots[2 * group - 1] ?? -1;
    return from >= 0 && to >= from;
  }

  /** Where a back-reference ends, or -1. */
  #repeated(group: number, mode: number, at: number): number {
    if (!this.#isSet(group)) return -1;
    const from = this.#slots[2 * group - 2] ?? 0;
    const size = (this.#slots[2 * group - 1] ?? 0) - from;
    if (at + size > this.#text.length) return -1;
    const fold = mode === CASE.exact ? null : mode === CASE.ascii ? asciiLower : lower;
    for (let i = 0; i < size; i += 1) {
      const one = this.#text[from + i] ?? 0;
      const other = this.#text[at + i] ?? 0;
      if (one !== other && (fold === null || fold(one) !== fold(other))) {
        this.#spend(i >> 2);
        return -1;
      }
    }
    this.#spend(size >> 2);
    return at + size;
  }
}
