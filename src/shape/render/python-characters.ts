/** Facts about code points as Python's `str` sees them, from the Unicode tables of this Node. */

export const MAX_CODE_POINT = 0x10ffff;

const KNOWN = 1;
const DIGIT = 2;
const SPACE = 4;
const WORD = 8;

/** Filled as code points are met. */
let classes: Uint8Array | undefined;

function classOf(code: number): number {
  classes ??= new Uint8Array(MAX_CODE_POINT + 1);
  const known = classes[code] ?? 0;
  if (known !== 0) return known;
  const character = String.fromCodePoint(code);
  const found =
    KNOWN |
    (/^\p{Nd}$/u.test(character) ? DIGIT : 0) |
    (/^\p{Z}$/u.test(character) || isControlSpace(code) ? SPACE : 0) |
    (/^[\p{L}\p{N}_]$/u.test(character) ? WORD : 0);
  classes[code] = found;
  return found;
}

const isControlSpace = (code: number): boolean =>
  (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x1f) || code === 0x85;

export const isDigit = (code: number): boolean => (classOf(code) & DIGIT) !== 0;
export const isSpace = (code: number): boolean => (classOf(code) & SPACE) !== 0;
export const isWord = (code: number): boolean => (classOf(code) & WORD) !== 0;

export const isAsciiDigit = (code: number): boolean => code >= 48 && code <= 57;
export const isAsciiSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);
export const isAsciiWord = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || isAsciiDigit(code) || code === 95;

/** The value of a decimal digit of any script, or -1. Digits of a script are ten in a row, from zero. */
export function decimalValue(code: number): number {
  if (isAsciiDigit(code)) return code - 48;
  if (code < 128 || !isDigit(code)) return -1;
  let first = code;
  while (isDigit(first - 1)) first -= 1;
  return (code - first) % 10;
}

/** Letters have case below this code point only. */
const CASED_END = 0x20000;

/** Filled as code points are met: the small letter and one more, so that 0 says unknown. */
let lowers: Int32Array | undefined;

/** The small letter; where it is longer than one code point (İ), Python's `re` goes by the first. */
export function lower(code: number): number {
  if (code < 128) return code >= 65 && code <= 90 ? code + 32 : code;
  if (code >= CASED_END) return code;
  lowers ??= new Int32Array(CASED_END);
  const known = lowers[code] ?? 0;
  if (known !== 0) return known - 1;
  const found = String.fromCodePoint(code).toLowerCase().codePointAt(0) ?? code;
  lowers[code] = found + 1;
  return found;
}

/** The capital letter, or the first of them (ß: S). */
export function upper(code: number): number {
  return code >= CASED_END ? code : (String.fromCodePoint(code).toUpperCase().codePointAt(0) ?? code);
}

export const asciiLower = (code: number): number => (code >= 65 && code <= 90 ? code + 32 : code);

let kin: ReadonlyMap<number, readonly number[]> | undefined;

/** Other small letters with the same capital form (σ and ς, s and ſ): the same letter to Python when case is ignored. */
export function sameCapital(small: number): readonly number[] {
  kin ??= smallLettersOfOneCapital();
  return kin.get(small) ?? [];
}

function smallLettersOfOneCapital(): ReadonlyMap<number, readonly number[]> {
  const byCapital = new Map<string, number[]>();
  for (let code = 0; code <= 0xffff; code += 1) {
    const text = String.fromCharCode(code);
    const capital = text.toUpperCase();
    if (capital === text || lower(code) !== code) continue;
    const letters = byCapital.get(capital);
    if (letters === undefined) byCapital.set(capital, [code]);
    else letters.push(code);
  }
  const found = new Map<number, readonly number[]>();
  for (const letters of byCapital.values()) {
    if (letters.length < 2) continue;
    for (const letter of letters) {
      found.set(
        letter,
        letters.filter((other) => other !== letter),
      );
    }
  }
  return found;
}

/** str.strip() */
export function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
