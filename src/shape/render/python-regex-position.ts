import { isAsciiWord, isWord } from './python-characters.js';
import { POSITION } from './python-regex-program.js';

const NEWLINE = 10;

/** Whether a place in the text is what `^`, `$`, `\A`, `\Z`, `\b` or `\B` asks for. */
export function isAt(text: Uint32Array, position: number, at: number): boolean {
  const end = text.length;
  switch (position) {
    case POSITION.begin:
      return at === 0;
    case POSITION.beginLine:
      return at === 0 || text[at - 1] === NEWLINE;
    case POSITION.end:
      return at === end || (at === end - 1 && text[at] === NEWLINE);
    case POSITION.endLine:
      return at === end || text[at] === NEWLINE;
    case POSITION.endString:
      return at === end;
    case POSITION.boundary:
      return end > 0 && isBoundary(text, at, isWord);
    case POSITION.nonBoundary:
      // In an empty text Python finds neither \b nor \B.
      return end > 0 && !isBoundary(text, at, isWord);
    case POSITION.asciiBoundary:
      return end > 0 && isBoundary(text, at, isAsciiWord);
    default:
      return end > 0 && !isBoundary(text, at, isAsciiWord);
  }
}

function isBoundary(text: Uint32Array, at: number, word: (code: number) => boolean): boolean {
  const before = at > 0 && word(text[at - 1] ?? 0);
  const after = at < text.length && word(text[at] ?? 0);
  return before !== after;
}
