import { MAX_CODE_POINT } from './python-characters.js';
import { codePointNamed } from './python-character-names.js';
import type { CategoryName, ClassItem, Node } from './python-regex-syntax.js';
import { length, type RegexSource } from './python-regex-source.js';
import { repr } from './python-repr.js';

/** What the parser knows of the groups. */
export interface Groups {
  readonly count: number;
  /** throws where the group is open still, or belongs to the look-behind that refers to it */
  check(group: number, escape: string): void;
}

const CONTROLS: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92 };
const CATEGORIES: Readonly<Record<string, CategoryName>> = { d: 'digit', s: 'space', w: 'word' };
const HEX = /^[0-9a-fA-F]$/u;
const OCTAL = /^[0-7]$/u;
const DIGIT = /^[0-9]$/u;
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** An escape outside a class; `escape` is the backslash and one character, already taken. */
export function parseEscape(source: RegexSource, escape: string, groups: Groups): Node {
  const letter = escape.slice(1);
  if (letter === 'A') return { kind: 'position', at: 'begin-string' };
  if (letter === 'Z') return { kind: 'position', at: 'end-string' };
  if (letter === 'b') return { kind: 'position', at: 'boundary' };
  if (letter === 'B') return { kind: 'position', at: 'non-boundary' };
  const category = categoryOf(letter);
  if (category !== null) return { kind: 'class', negate: false, items: [category] };
  if (letter === '0') return character(Number.parseInt(`0${source.getWhile(2, OCTAL)}`, 8));
  if (DIGIT.test(letter)) return octalOrReference(source, escape, groups);
  return character(escapedCode(source, escape));
}

/** An escape inside a class. */
export function parseClassEscape(source: RegexSource, escape: string): ClassItem {
  const letter = escape.slice(1);
  const category = categoryOf(letter);
  if (category !== null) return category;
  if (OCTAL.test(letter)) return { kind: 'char', code: octal(source, escape + source.getWhile(2, OCTAL)) };
  return { kind: 'char', code: escapedCode(source, escape) };
}

const character = (code: number): Node => ({ kind: 'char', code, negate: false });

function categoryOf(letter: string): ClassItem | null {
  const name = CATEGORIES[letter.toLowerCase()];
  return name === undefined ? null : { kind: 'category', name, negate: letter !== letter.toLowerCase() };
}

function octal(source: RegexSource, escape: string): number {
  const code = Number.parseInt(escape.slice(1), 8);
  if (code > 0o377) throw source.error(`octal escape value ${escape} outside of range 0-0o377`, escape.length);
  return code;
}

/** `\123` is octal where all three digits are; any other `\1` … `\99` refers to a group. */
function octalOrReference(source: RegexSource, escape: string, groups: Groups): Node {
  let text = escape;
  if (source.next !== null && DIGIT.test(source.next)) {
    text += source.get();
    if (/^\\[0-7]{2}$/u.test(text) && source.next !== null && OCTAL.test(source.next)) {
      return character(octal(source, text + source.get()));
    }
  }
  const group = Number(text.slice(1));
  if (group >= groups.count) throw source.error(`invalid group reference ${group}`, text.length - 1);
  groups.check(group, text);
  return { kind: 'reference', group };
}

function escapedCode(source: RegexSource, escape: string): number {
  const letter = escape.slice(1);
  const control = CONTROLS[letter];
  if (control !== undefined) return control;
  const digits = HEX_DIGITS[letter];
  if (digits !== undefined) {
    const text = source.getWhile(digits, HEX);
    if (text.length !== digits) throw source.error(`incomplete escape ${escape}${text}`, escape.length + text.length);
    const code = Number.parseInt(text, 16);
    if (code > MAX_CODE_POINT) throw source.error(`bad escape ${escape}${text}`, escape.length + text.length);
    return code;
  }
  if (letter === 'N') {
    if (!source.match('{')) throw source.error('missing {');
    const name = source.getUntil('}', 'character name');
    const code = codePointNamed(name);
    if (code === null) throw source.error(`undefined character name ${repr(name)}`, length(name) + 4);
    return code;
  }
  if (/^[0-9a-zA-Z]$/u.test(letter)) throw source.error(`bad escape ${escape}`, escape.length);
  return letter.codePointAt(0) ?? 0;
}
