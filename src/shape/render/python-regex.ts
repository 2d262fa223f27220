import { compileProgram } from './python-regex-compiler.js';
import { Machine } from './python-regex-machine.js';
import type { Patience } from './python-errors.js';
import { parsePattern } from './python-regex-parser.js';
import type { Program } from './python-regex-program.js';

/** A text to be searched, as the code points that Python sees. */
export class Subject {
  readonly text: string;
  readonly codes: Uint32Array;

  constructor(text: string) {
    this.text = text;
    const codes = new Uint32Array(text.length);
    let count = 0;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.codePointAt(i) ?? 0;
      if (code > 0xffff) i += 1;
      codes[count] = code;
      count += 1;
    }
    this.codes = codes.subarray(0, count);
  }

  slice(from: number, to: number): string {
    if (this.codes.length === this.text.length) return this.text.slice(from, to);
    let text = '';
    for (let at = from; at < to; at += 4096) {
      text += String.fromCodePoint(...this.codes.subarray(at, Math.min(at + 4096, to)));
    }
    return text;
  }
}

/**
 * A pattern of Python's `re`, as of Python 3.11, with an engine of its own. The engine of Node cannot be stopped, and an
 * engine without backtracking (RE2) has no look-around, no back-references and other ideas of case and of what an empty
 * round of a repetition leaves in its groups. This one takes the ways in the order in which Python does, remembers which
 * of them failed, and counts its steps, so it can be used where everything else waits for it.
 */
export class PythonRegex {
  readonly #program: Program;

  /** Throws a PythonError where `re.compile` would raise. */
  constructor(pattern: string) {
    this.#program = compileProgram(parsePattern(pattern));
  }

  /** How many groups capture. */
  get groups(): number {
    return this.#program.groups;
  }

  /**
   * `re.search(pattern, text).groups()`, null where nothing matches. Throws a LimitError where it takes too long, an
   * ImpatientError where it takes longer than there is patience.
   */
  search(subject: Subject, patience: Patience | null = null): readonly (string | null)[] | null {
    const slots = new Machine(this.#program, subject.codes, patience).search();
    if (slots === null) return null;
    return Array.from({ length: this.groups }, (_, group) => {
      const from = slots[2 * group] ?? -1;
      const to = slots[2 * group + 1] ?? -1;
      return from < 0 || to < from ? null : subject.slice(from, to);
    });
  }
}
