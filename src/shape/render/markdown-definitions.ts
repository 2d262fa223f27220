import { isSpace, skipBlanks } from './markdown-text.js';
import { strip } from './python-characters.js';

/** What a definition says. */
export interface Reference {
  readonly address: string;
  /** May be empty. */
  readonly title: string;
}

/** `[name]: address "title"`, and where it stands. */
export interface Definition extends Reference {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

interface Title {
  readonly text: string;
  readonly end: number;
}

/** The first definition in a text. Its name may go over lines; address and title may each be on a line of their own. */
export function findDefinition(text: string): Definition | null {
  if (!text.includes(']:')) return null;
  for (let line = 0; line >= 0 && line < text.length; ) {
    const open = skipBlanks(text, line, 3);
    if (text[open] === '[') {
      const close = nextBracket(text, open + 1);
      if (close < 0) return null;
      const found = text.startsWith(']:', close) ? definitionAt(text, line, open, close) : null;
      if (found !== null) return found;
    }
    const newline = text.indexOf('\n', line);
    line = newline < 0 ? -1 : newline + 1;
  }
  return null;
}

function nextBracket(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x5d) return at;
  }
  return -1;
}

function definitionAt(text: string, start: number, open: number, close: number): Definition | null {
  let from = skipBlanks(text, close + 2);
  if (text[from] === '\n') from = skipBlanks(text, from + 1);
  let to = from;
  while (to < text.length && !isSpace(text.charCodeAt(to))) to += 1;
  if (to === from) return null;
  const make = (addressEnd: number, title: string, end: number): Definition => ({
    start,
    end,
    name: strip(text.slice(open + 1, close)).toLowerCase(),
    address: bare(text.slice(from, addressEnd)),
    title,
  });

  const after = skipBlanks(text, to);
  if (text[after] === '\n') {
    const next = skipBlanks(text, after + 1);
    const title = titleAt(text, next, lineEnd(text, next));
    if (title !== null) return make(to, title.text, title.end);
    return make(to, '', next === text.length || text[next] === '\n' ? next : after);
  }
  if (after === text.length) return make(to, '', after);
  const end = lineEnd(text, after);
  const title = titleAt(text, after, end);
  if (title !== null) return make(to, title.text, title.end);
  // The title may also begin within what looked like the address.
  for (let at = to - 1; at > from; at -= 1) {
    const inner = titleAt(text, at, end);
    if (inner !== null) return make(at, inner.text, inner.end);
  }
  return null;
}

interface Line {
  readonly end: number;
  /** Without blanks at the end. */
  readonly full: number;
}

function lineEnd(text: string, at: number): Line {
  const newline = text.indexOf('\n', at);
  const end = newline < 0 ? text.length : newline;
  let full = end;
  while (full > at && text.charCodeAt(full - 1) === 0x20) full -= 1;
  return { end, full };
}

/** A title in quotes or brackets that takes all the rest of the line. */
function titleAt(text: string, at: number, line: Line): Title | null {
  const first = text[at];
  const last = first === '(' ? ')' : first;
  if (first !== '"' && first !== "'" && first !== '(') return null;
  if (line.full - 1 <= at || text[line.full - 1] !== last) return null;
  return { text: text.slice(at + 1, line.full - 1), end: line.end };
}

function bare(address: string): string {
  let from = 0;
  let to = address.length;
  while (from < to && address[from] === '<') from += 1;
  while (to > from && address[to - 1] === '>') to -= 1;
  return address.slice(from, to);
}
