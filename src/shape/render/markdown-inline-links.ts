import { Brackets, Destinations } from './markdown-destinations.js';
import type { Find, InlineContext } from './markdown-stash.js';
import { blankSpace, isSpace } from './markdown-text.js';
import { element } from './markdown-tree.js';
import type { Element } from './markdown-tree.js';
import { strip } from './python-characters.js';

/** The brackets of links, or of images, from a position. */
function nextOpening(data: string, from: number, image: boolean): number {
  if (image) {
    const at = data.indexOf('![', from);
    return at < 0 ? -1 : at + 1;
  }
  let at = data.indexOf('[', from);
  while (at > 0 && data[at - 1] === '!') at = data.indexOf('[', at + 1);
  return at;
}

function has(data: string, signs: string, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (signs.includes(data[at] ?? ' ')) return true;
  return false;
}

/** `[text](address "title")` and the same with `!` for an image. */
export function links(data: string, { stash }: InlineContext, image: boolean): Find | null {
  if (!data.includes('](') || nextOpening(data, 0, image) < 0) return null;
  const brackets = new Brackets(data);
  const destinations = new Destinations(data);
  let refused = false;
  let refusedDestination = false;

  return (from) => {
    for (let open = nextOpening(data, from, image); open >= 0; open = nextOpening(data, open + 1, image)) {
      const close = brackets.closeOf(open);
      if (close < 0 || data[close + 1] !== '(') {
        refused = true;
        continue;
      }
      const destination = destinations.at(close + 1);
      if (destination === null) {
        refusedDestination = true;
        continue;
      }
      const { end } = destination;
      const text = data.slice(open + 1, close);
      const node = element(image ? 'img' : 'a');
      node.attributes.set(image ? 'src' : 'href', strip(stash.plain(destination.address)));
      if (destination.title !== null) {
        node.attributes.set('title', blankSpace(dequote(stash.plain(strip(destination.title))), false));
      }
      if (image) node.attributes.set('alt', stash.plain(text));
      else node.text = text;
      // What was refused before may be a link once brackets, quotes or a bracket of an odd number are out of the way.
      const again =
        ((refused || refusedDestination) && destination.odd) ||
        (refused && has(data, '[]', close + 1, end)) ||
        (refusedDestination && (has(data, `'"<[]`, open + 1, end) || has(data, '()', open, close)));
      return { start: image ? open - 1 : open, end, node, again };
    }
    return null;
  };
}

function dequote(title: string): string {
  const first = title[0];
  const quoted = (first === '"' || first === "'") && title.endsWith(first);
  return quoted ? title.slice(1, -1) : title;
}

interface ReferenceKind {
  readonly image: boolean;
  /** `[name]` instead of `[text][name]`. */
  readonly short: boolean;
}

/** Links and images whose address is defined elsewhere. */
export function references(data: string, context: InlineContext, kind: ReferenceKind): Find | null {
  if (context.references.size === 0 || nextOpening(data, 0, kind.image) < 0) return null;
  const brackets = new Brackets(data);

  return (from) => {
    for (let open = nextOpening(data, from, kind.image); open >= 0; ) {
      const close = brackets.closeOf(open);
      const named = close < 0 ? null : nameAfter(data, brackets, open, close, kind.short);
      if (named === null) {
        open = nextOpening(data, open + 1, kind.image);
        continue;
      }
      const node = named.name === null ? null : target(named.name, data.slice(open + 1, close), context, kind.image);
      if (node !== null) return { start: kind.image ? open - 1 : open, end: named.end, node, again: false };
      // Not defined: nothing inside is looked at.
      open = nextOpening(data, named.end, kind.image);
    }
    return null;
  };
}

interface Named {
  /** Null when there are brackets in it: no definition has those. */
  readonly name: string | null;
  readonly end: number;
}

function nameAfter(data: string, brackets: Brackets, open: number, close: number, short: boolean): Named | null {
  const own = (): string | null => (brackets.isFlat(open, close) ? data.slice(open + 1, close) : null);
  if (short) return { name: own(), end: close + 1 };
  const second = isSpace(data.charCodeAt(close + 1)) ? close + 2 : close + 1;
  const end = data[second] === '[' ? data.indexOf(']', second + 1) : -1;
  if (end < 0) return null;
  const name = end === second + 1 ? own() : data.slice(second + 1, end);
  return { name, end: end + 1 };
}

function target(name: string, text: string, context: InlineContext, image: boolean): Element | null {
  const reference = context.references.get(blankSpace(name.toLowerCase(), true));
  if (reference === undefined) return null;
  const { address, title } = reference;
  if (!context.expansion.take(context.raw.lengthOf(reference))) return null;
  const node = element(image ? 'img' : 'a');
  node.attributes.set(image ? 'src' : 'href', address);
  if (title !== '') node.attributes.set('title', title);
  if (image) node.attributes.set('alt', context.stash.plain(text));
  else node.text = text;
  return node;
}
