import { MAX_CODE_POINT, asciiLower, lower, sameCapital, upper } from './python-characters.js';

export type Category = (code: number) => boolean;

export type SetItem =
  | { readonly kind: 'char'; readonly code: number }
  | { readonly kind: 'range'; readonly from: number; readonly to: number }
  | { readonly kind: 'category'; readonly test: Category };

export type CaseMode = 'exact' | 'ascii' | 'unicode';

/** What one position of a pattern takes: answers for the first 256 code points are kept in a table. */
export class CharacterSet {
  readonly #table = new Uint8Array(256);
  readonly #test: Category;

  constructor(test: Category) {
    this.#test = test;
    for (let code = 0; code < 256; code += 1) this.#table[code] = test(code) ? 1 : 0;
  }

  has(code: number): boolean {
    return code < 256 ? this.#table[code] === 1 : this.#test(code);
  }
}

const isCased = (code: number, mode: CaseMode): boolean =>
  mode === 'ascii'
    ? asciiLower(code) !== code || (code >= 97 && code <= 122)
    : lower(code) !== code || upper(code) !== code;

/** A single character of a pattern (or anything but it). */
export function characterTest(code: number, negate: boolean, mode: CaseMode): Category {
  if (mode === 'exact' || !isCased(code, mode)) return (other) => (other === code) !== negate;
  if (mode === 'ascii') {
    const small = asciiLower(code);
    return (other) => (asciiLower(other) === small) !== negate;
  }
  const small = lower(code);
  const all = [small, ...sameCapital(small)];
  return (other) => all.includes(lower(other)) !== negate;
}

/** `[...]`. When case is ignored, Python asks whether the small letter of the text is in the set. */
export function setTest(items: readonly SetItem[], negate: boolean, mode: CaseMode): Category {
  if (mode === 'exact') {
    const tests = items.map(exactTest);
    return (code) => tests.some((test) => test(code)) !== negate;
  }
  const members = new Uint8Array(0x10000);
  const tests: Category[] = [];
  let cased = false;
  const add = (code: number): void => {
    const small = mode === 'ascii' ? asciiLower(code) : lower(code);
    members[small] = 1;
    if (mode === 'unicode') for (const other of sameCapital(small)) members[other] = 1;
    cased ||= isCased(code, mode);
  };
  for (const item of items) {
    if (item.kind === 'category') {
      tests.push(item.test);
    } else {
      const [from, to] = item.kind === 'char' ? [item.code, item.code] : [item.from, item.to];
      for (let code = from; code <= Math.min(to, 0xffff); code += 1) add(code);
      if (to <= 0xffff) continue;
      // Outside the basic plane Python compares the code point itself; a range also its capital letter.
      cased = true;
      tests.push(
        item.kind === 'char' ? exactTest(item) : (code) => inRange(code, from, to) || inRange(upper(code), from, to),
      );
    }
  }
  const inSet = (code: number): boolean => members[code] === 1 || tests.some((test) => test(code));
  if (!cased) return (code) => inSet(code) !== negate;
  return mode === 'ascii' ? (code) => inSet(asciiLower(code)) !== negate : (code) => inSet(lower(code)) !== negate;
}

const inRange = (code: number, from: number, to: number): boolean => code >= from && code <= to;

function exactTest(item: SetItem): Category {
  if (item.kind === 'category') return item.test;
  const [from, to] = item.kind === 'char' ? [item.code, item.code] : [item.from, Math.min(item.to, MAX_CODE_POINT)];
  return (code) => inRange(code, from, to);
}
