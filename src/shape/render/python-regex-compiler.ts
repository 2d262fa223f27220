import { CharacterSet } from './python-character-set.js';
import { PythonError } from './python-errors.js';
import type { ParsedPattern } from './python-regex-parser.js';
import { caseMode, combined, isAnchored, positionOf, testOf, unitOf } from './python-regex-meaning.js';
import { CASE, OP, type Counter, type Program } from './python-regex-program.js';
import { MAX_UNROLLED, sizeOf } from './python-regex-size.js';
import { FLAG, MAX_REPEAT, widthOf, type Node, type Sequence, type Unit, type Width } from './python-regex-syntax.js';

/** More nested rounds that may take nothing than this: no memo. */
const MAX_MEMO_SLOTS = 5;

type RepeatNode = Extract<Node, { kind: 'repeat' }>;

export function compileProgram(pattern: ParsedPattern): Program {
  return new Compiler(pattern).program();
}

class Compiler {
  readonly #op: number[] = [];
  readonly #a: number[] = [];
  readonly #b: number[] = [];
  readonly #c: number[] = [];
  readonly #sets: CharacterSet[] = [];
  readonly #setIds = new Map<string, number>();
  readonly #counters = new Map<number, Counter>();
  readonly #memo: number[] = [];
  readonly #memoSlots: (readonly number[])[] = [];
  readonly #pattern: ParsedPattern;
  readonly #widths: readonly (Width | null)[];
  #slots: number;
  #memoIds = 0;
  #memoizable = true;
  /** rounds around the instruction that is written now, which may take nothing */
  #rounds: readonly number[] = [];

  constructor(pattern: ParsedPattern) {
    this.#pattern = pattern;
    this.#widths = pattern.widths;
    this.#slots = 2 * pattern.groups;
  }

  program(): Program {
    const { root, flags, groups } = this.#pattern;
    this.#sequence(root, flags);
    this.#emit(OP.end);
    return {
      op: Uint8Array.from(this.#op),
      a: Int32Array.from(this.#a),
      b: Int32Array.from(this.#b),
      c: Int32Array.from(this.#c),
      sets: this.#sets,
      counters: this.#counters,
      groups,
      slots: this.#slots,
      memo: Int32Array.from(this.#memo),
      memoSlots: this.#memoSlots,
      memoIds: this.#memoizable ? this.#memoIds : 0,
      anchored: isAnchored(root, flags),
      firstSet: this.#firstSet(),
    };
  }

  #emit(op: number, a = 0, b = 0, c = 0): number {
    this.#a.push(a);
    this.#b.push(b);
    this.#c.push(c);
    this.#memo.push(-1);
    this.#memoSlots.push([]);
    return this.#op.push(op) - 1;
  }

  #choice(op: number, a = 0, b = 0, c = 0): number {
    const at = this.#emit(op, a, b, c);
    if (this.#rounds.length > MAX_MEMO_SLOTS) this.#memoizable = false;
    this.#memo[at] = this.#memoIds;
    this.#memoSlots[at] = this.#rounds;
    this.#memoIds += 1 << Math.min(this.#rounds.length, MAX_MEMO_SLOTS);
    return at;
  }

  get #here(): number {
    return this.#op.length;
  }

  #sequence(sequence: Sequence, flags: number): void {
    for (const node of sequence) this.#node(node, flags);
  }

  #node(node: Node, flags: number): void {
    switch (node.kind) {
      case 'char':
        if (!node.negate && (flags & FLAG.i) === 0) this.#emit(OP.char, node.code);
        else this.#emit(OP.set, this.#set(node, flags));
        return;
      case 'any':
      case 'class':
        this.#emit(OP.set, this.#set(node, flags));
        return;
      case 'position':
        this.#emit(OP.position, positionOf(node.at, flags));
        return;
      case 'branch':
        this.#branch(node.branches, flags);
        return;
      case 'group':
        if (node.index === null) {
          this.#sequence(node.body, combined(flags, node.on, node.off));
        } else {
          this.#emit(OP.save, 2 * node.index - 2);
          this.#sequence(node.body, flags);
          this.#emit(OP.save, 2 * node.index - 1);
        }
        return;
      case 'atomic':
        this.#atomic(() => this.#sequence(node.body, flags));
        return;
      case 'look':
        this.#look(node, flags);
        return;
      case 'reference':
        this.#memoizable = false;
        this.#emit(OP.reference, node.group, CASE[caseMode(flags)]);
        return;
      case 'conditional':
        this.#conditional(node, flags);
        return;
      case 'repeat':
        if ((flags & FLAG.t) !== 0) {
          const name = { greedy: 'MAX', lazy: 'MIN', possessive: 'POSSESSIVE' }[node.mode];
          throw new PythonError('re.error', `internal: unsupported template operator ${name}_REPEAT`);
        }
        this.#repeat(node, flags);
        return;
    }
  }

  #branch(branches: readonly Sequence[], flags: number): void {
    const jumps: number[] = [];
    for (const [index, branch] of branches.entries()) {
      const last = index === branches.length - 1;
      const split = last ? -1 : this.#choice(OP.split, this.#here + 1);
      this.#sequence(branch, flags);
      if (last) continue;
      jumps.push(this.#emit(OP.jump));
      this.#b[split] = this.#here;
    }
    for (const jump of jumps) this.#a[jump] = this.#here;
  }

  #atomic(body: () => void): void {
    const at = this.#emit(OP.atomic);
    body();
    this.#emit(OP.end);
    this.#a[at] = this.#here;
  }

  #look(node: Extract<Node, { kind: 'look' }>, flags: number): void {
    let back = -1;
    if (node.behind) {
      const width = widthOf(node.body, this.#widths);
      if (width.min > MAX_REPEAT) throw new PythonError('re.error', 'looks too much behind');
      if (width.min !== width.max) throw new PythonError('re.error', 'look-behind requires fixed-width pattern');
      back = Math.min(width.min, 0x7fffffff);
    }
    const at = this.#emit(OP.look, 0, back, node.negate ? 1 : 0);
    this.#sequence(node.body, flags);
    this.#emit(OP.end);
    this.#a[at] = this.#here;
  }

  #conditional(node: Extract<Node, { kind: 'conditional' }>, flags: number): void {
    this.#memoizable = false;
    const at = this.#emit(OP.when, node.group);
    this.#sequence(node.yes, flags);
    if (node.no === null || node.no.length === 0) {
      this.#b[at] = this.#here;
      return;
    }
    const jump = this.#emit(OP.jump);
    this.#b[at] = this.#here;
    this.#sequence(node.no, flags);
    this.#a[jump] = this.#here;
  }

  #repeat(node: RepeatNode, flags: number): void {
    const unit = unitOf(node.body, flags);
    if (unit !== null) {
      this.#unitRepeat(node, this.#set(unit.unit, unit.flags));
    } else if (node.mode === 'possessive') {
      this.#atomic(() => {
        const item: Sequence = [{ kind: 'atomic', body: node.body }];
        this.#rounded({ ...node, mode: 'greedy', body: item }, flags);
      });
    } else {
      this.#rounded(node, flags);
    }
  }

  #unitRepeat(node: RepeatNode, set: number): void {
    if (node.min > 0) this.#emit(OP.run, set, Math.min(node.min, 0x7fffffff));
    if (node.max === node.min) return;
    const most = node.max === MAX_REPEAT ? -1 : Math.min(node.max - node.min, 0x7fffffff);
    if (node.mode === 'possessive') this.#emit(OP.loopAll, set, most);
    else this.#choice(OP.loop, set, most, node.mode === 'lazy' ? 1 : 0);
  }

  #rounded(node: RepeatNode, flags: number): void {
    const { min, body } = node;
    if (node.max === 0) {
      // Never taken, but what is in it has to be sound.
      const jump = this.#emit(OP.jump);
      this.#sequence(body, flags);
      this.#a[jump] = this.#here;
      return;
    }
    const endless = node.max === MAX_REPEAT;
    const copies = endless ? min + 1 : node.max;
    if (copies > 1 && copies * Math.max(sizeOf(body), 1) > MAX_UNROLLED) {
      this.#counted(node, flags);
      return;
    }
    for (let i = 0; i < min; i += 1) this.#sequence(body, flags);
    if (node.max === min) return;
    const nullable = widthOf(body, this.#widths).min === 0;
    const lazy = node.mode === 'lazy';
    const slot = nullable ? this.#newSlot() : -1;
    const exits: number[] = [];
    const checks: number[] = [];
    const round = (): number => {
      const split = this.#choice(OP.split);
      exits.push(split);
      if (lazy) this.#b[split] = this.#here;
      else this.#a[split] = this.#here;
      const outer = this.#rounds;
      if (nullable) {
        this.#emit(OP.enter, slot);
        this.#rounds = [...outer, slot];
      }
      this.#sequence(body, flags);
      this.#rounds = outer;
      if (nullable) checks.push(this.#emit(OP.check, slot));
      return split;
    };
    if (endless) this.#emit(OP.jump, round());
    else for (let i = min; i < node.max; i += 1) round();
    for (const split of exits) {
      if (lazy) this.#a[split] = this.#here;
      else this.#b[split] = this.#here;
    }
    for (const check of checks) this.#b[check] = this.#here;
  }

  /** Too many rounds to be written out: they are counted, and there is no memo then. */
  #counted(node: RepeatNode, flags: number): void {
    this.#memoizable = false;
    const count = this.#newSlot();
    const start = this.#newSlot();
    this.#emit(OP.begin, count, start);
    const until = this.#emit(OP.until, count);
    const max = node.max === MAX_REPEAT ? Infinity : node.max;
    this.#counters.set(until, { min: node.min, max, lazy: node.mode === 'lazy', start });
    this.#sequence(node.body, flags);
    this.#emit(OP.next, count);
    this.#emit(OP.jump, until);
    this.#b[until] = this.#here;
  }

  #newSlot(): number {
    this.#slots += 1;
    return this.#slots - 1;
  }

  #set(unit: Unit, flags: number): number {
    const key = `${flags & (FLAG.i | FLAG.a | FLAG.s)} ${JSON.stringify(unit)}`;
    const known = this.#setIds.get(key);
    if (known !== undefined) return known;
    this.#sets.push(new CharacterSet(testOf(unit, flags)));
    this.#setIds.set(key, this.#sets.length - 1);
    return this.#sets.length - 1;
  }

  /** What the first character has to be, where the pattern begins with one. */
  #firstSet(): number {
    let at = 0;
    while (this.#op[at] === OP.save) at += 1;
    if (this.#op[at] === OP.set || this.#op[at] === OP.run) return this.#a[at] ?? -1;
    if (this.#op[at] === OP.char) return this.#set({ kind: 'char', code: this.#a[at] ?? 0, negate: false }, 0);
    return -1;
  }
}
