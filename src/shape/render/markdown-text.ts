import { isSpace as isPythonSpace, isWord } from './python-characters.js';

/** Positions and white space in texts, and the marks that stand for finished pieces inside a text. */

/** Delimit a mark. Neither can come from a message: both are removed before anything else happens. */
export const STX = '\u0002';
export const ETX = '\u0003';

/** Stands for an ampersand that must not be escaped. */
export const AMPERSAND = `${STX}amp${ETX}`;

/** Characters that a backslash takes the meaning from. */
export const ESCAPABLE: ReadonlySet<string> = new Set('\\`*_{}[]()>#+-.!');

/** A character that stands for itself until the tree is finished. */
export function escapeMark(character: string): string {
  return `${STX}${String(character.charCodeAt(0))}${ETX}`;
}

/** Is it white space to Python? NaN, the code at the end of a text, is not. */
export function isSpace(code: number): boolean {
  return !Number.isNaN(code) && isPythonSpace(code);
}

/** The first position from `at` that is not white space. */
export function skipSpace(text: string, at: number): number {
  let end = at;
  while (end < text.length && isSpace(text.charCodeAt(end))) end += 1;
  return end;
}

/** The first position from `at`, at most `limit` further, that is not a blank (U+0020). */
export function skipBlanks(text: string, at: number, limit = Number.POSITIVE_INFINITY): number {
  let end = at;
  while (end - at < limit && text.charCodeAt(end) === 0x20) end += 1;
  return end;
}

export function stripStart(text: string): string {
  const start = skipSpace(text, 0);
  return start === 0 ? text : text.slice(start);
}

export function stripEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text.charCodeAt(end - 1))) end -= 1;
  return end === text.length ? text : text.slice(0, end);
}

export function isBlank(text: string): boolean {
  return skipSpace(text, 0) === text.length;
}

/** Every run of white space as one blank, or every white space character as one. */
export function blankSpace(text: string, runs: boolean): string {
  let out = '';
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (!isSpace(text.charCodeAt(at))) continue;
    const end = runs ? skipSpace(text, at) : at + 1;
    out += `${text.slice(from, at)} `;
    from = end;
    at = end - 1;
  }
  return out + text.slice(from);
}

/** Is there a word character (`\w`) at this position? */
export function wordAt(text: string, at: number): boolean {
  const code = text.codePointAt(at);
  return code !== undefined && isWord(code);
}

/** Is there a word character just before this position? */
export function wordBefore(text: string, at: number): boolean {
  if (at <= 0) return false;
  const unit = text.charCodeAt(at - 1);
  const low = unit >= 0xdc00 && unit <= 0xdfff;
  return wordAt(text, low && at > 1 ? at - 2 : at - 1);
}

/** The index of the first number that is at least `least` in an ascending list. */
export function firstFrom(list: readonly number[], least: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] ?? 0) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where `part` begins, each occurrence, overlapping ones too. */
export function positionsOf(text: string, part: string): number[] {
  const list: number[] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) list.push(at);
  return list;
}

export function escapeCode(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/**
 * The text as the parsers want it: no marks, one kind of line end, tabs as blanks to the next multiple of four columns,
 * nothing on lines of blanks (the first line excepted), an empty line at the end.
 */
export function normalize(text: string): string {
  const lines = text.replaceAll(STX, '').replaceAll(ETX, '').replace(/\r\n?/gu, '\n');
  return expandTabs(`${lines}\n\n`).replace(/(?<=\n) +\n/gu, '\n');
}

function expandTabs(text: string): string {
  if (!text.includes('\t')) return text;
  const out: string[] = [];
  let column = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x09) {
      const blanks = 4 - (column % 4);
      out.push(text.slice(from, at), ' '.repeat(blanks));
      column += blanks;
      from = at + 1;
    } else if (code === 0x0a) {
      column = 0;
    } else if (code < 0xdc00 || code > 0xdfff) {
      // A pair of surrogates is one column: the second is not counted.
      column += 1;
    }
  }
  out.push(text.slice(from));
  return out.join('');
}

/**
 * Work that a text may cause beyond reading it once. What nests or is tried again takes from it; when it is used up
 * such things stay as they are, so that time stays in proportion to the length of the text whatever is in it.
 */
export class Work {
  private left: number;

  constructor(limit: number) {
    this.left = limit;
  }

  take(amount: number): boolean {
    if (amount > this.left) return false;
    this.left -= amount;
    return true;
  }
}
