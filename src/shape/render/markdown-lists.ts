import { skipBlanks } from './markdown-text.js';

/** A decimal digit of any script, as Python's `\d`. */
const DIGITS = /\p{Nd}+/uy;

interface Marker {
  readonly ordered: boolean;
  /** Where the text of the item begins. */
  readonly end: number;
}

/** The marker of a list item at a line's start, after at most three blanks. */
export function listMarker(text: string, start: number): Marker | null {
  return markerAt(text, skipBlanks(text, start, 3));
}

function markerAt(text: string, at: number): Marker | null {
  const sign = text[at];
  const ordered = sign !== '*' && sign !== '+' && sign !== '-';
  let after = at + 1;
  if (ordered) {
    DIGITS.lastIndex = at;
    const digits = DIGITS.exec(text)?.[0];
    if (digits === undefined || text[at + digits.length] !== '.') return null;
    after = at + digits.length + 1;
  }
  const end = skipBlanks(text, after);
  return end === after ? null : { ordered, end };
}

/** Is the line a list item indented once (four to seven blanks)? */
function isIndentedItem(line: string): boolean {
  const at = skipBlanks(line, 0, 8);
  return at >= 4 && at <= 7 && markerAt(line, at) !== null;
}

/** A block that begins with a list item, cut into its items; indented items keep their indent. */
export function listItems(block: string): string[] {
  const items: string[] = [];
  let item: string[] = [];
  const close = (): void => {
    if (item.length > 0) items.push(item.join('\n'));
    item = [];
  };
  for (const line of block.split('\n')) {
    const marker = listMarker(line, 0);
    if (marker !== null) {
      close();
      item.push(line.slice(marker.end));
    } else if (isIndentedItem(line) && !(item[0] ?? '').startsWith('    ')) {
      close();
      item.push(line);
    } else {
      item.push(line);
    }
  }
  close();
  return items;
}
