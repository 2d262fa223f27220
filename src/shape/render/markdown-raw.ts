import type { Reference } from './markdown-definitions.js';
import { ETX, STX } from './markdown-text.js';
import { isBlockTag } from './markdown-tree.js';

const MARK = `${STX}wzxhzdk:`;
/** A mark, alone in a paragraph or anywhere. */
const PLACES = new RegExp(`<p>${MARK}([0-9]+)${ETX}</p>|${MARK}([0-9]+)${ETX}`, 'gu');
const MARKS = new RegExp(`${MARK}([0-9]+)${ETX}`, 'gu');

/** HTML that goes to the output as it is. A mark stands for each piece until the very end. */
export class RawHtml {
  private readonly pieces: string[] = [];
  private readonly lengths = new Map<Reference, number>();

  store(html: string): string {
    this.pieces.push(html);
    return `${MARK}${String(this.pieces.length - 1)}${ETX}`;
  }

  /** How long an address and its title will be in the output. */
  lengthOf(reference: Reference): number {
    const known = this.lengths.get(reference);
    if (known !== undefined) return known;
    const text = reference.address + reference.title;
    let length = text.length;
    for (const mark of text.matchAll(MARKS)) length += this.pieces[Number(mark[1])]?.length ?? 0;
    this.lengths.set(reference, length);
    return length;
  }

  /** Puts the pieces back, also those that are inside others. One that is a block takes the place of its paragraph. */
  restore(text: string): string {
    if (this.pieces.length === 0) return text;
    let out = text;
    for (let again = true; again; ) {
      again = false;
      out = out.replace(PLACES, (place: string, wrapped: string | undefined, bare: string | undefined) => {
        const html = this.pieces[Number(wrapped ?? bare)];
        if (html === undefined) return place;
        again = true;
        return wrapped === undefined || isBlock(html) ? html : `<p>${html}</p>`;
      });
    }
    return out;
  }
}

function isBlock(html: string): boolean {
  const start = html.startsWith('</') ? 2 : 1;
  if (!html.startsWith('<')) return false;
  let end = start;
  while (end < html.length && html[end] !== ' ' && html[end] !== '>') end += 1;
  // `</>` and `</ `: the slash itself is then the first character of the name.
  const name = end > start ? html.slice(start, end) : html.slice(1, end);
  return name !== '' && (/^[!?@%]/u.test(name) || isBlockTag(name));
}
