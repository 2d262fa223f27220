import { entityName } from './markdown-entities.js';
import { serialize } from './markdown-serialize.js';
import type { Find, Found, InlineContext } from './markdown-stash.js';
import { AMPERSAND, isSpace } from './markdown-text.js';
import { element } from './markdown-tree.js';
import type { Element } from './markdown-tree.js';

const WEB_ADDRESS = /^(?:[Ff]|[Hh][Tt])[Tt][Pp][Ss]?:\/\//u;
const ENTITY = /&(?:#[0-9]+|#x[0-9a-fA-F]+|[a-zA-Z0-9]+);/gu;
const COMMENT_EDGE = /<!--|-->/gu;

/** The next `<` or `>` from a position. */
function nextAngle(data: string, from: number): number {
  for (let at = from; at < data.length; at += 1) {
    const code = data.charCodeAt(at);
    if (code === 0x3c || code === 0x3e) return at;
  }
  return data.length;
}

type Accept = (inside: string) => Element | string | null;

/**
 * What stands between `<` and the next `>`. One that a further `<` comes before is refused; should that `<` be taken
 * away with what follows it, the first has to be looked at again.
 */
function angles(data: string, accept: Accept, comment: ((source: string) => string) | null): Find | null {
  if (!data.includes('<')) return null;
  const blocked = new Set<number>();
  const found = (start: number, end: number, node: Element | string): Found => {
    return { start, end, node, again: blocked.has(start) };
  };
  return (from) => {
    for (let at = data.indexOf('<', from); at >= 0; ) {
      if (comment !== null && data.startsWith('<!--', at)) {
        const after = commentEnd(data, at, blocked);
        if (after >= 0) return found(at, after, comment(data.slice(at, after)));
      }
      const end = nextAngle(data, at + 1);
      if (data[end] === '>') {
        const node = accept(data.slice(at + 1, end));
        if (node !== null) return found(at, end + 1, node);
      } else {
        blocked.add(end);
      }
      at = data[end] === '<' ? end : data.indexOf('<', end);
    }
    return null;
  };
}

/** After `-->`, when no other comment begins before it. */
function commentEnd(data: string, at: number, blocked: Set<number>): number {
  COMMENT_EDGE.lastIndex = at + 4;
  const edge = COMMENT_EDGE.exec(data);
  if (edge === null) return -1;
  if (edge[0] === '-->') return edge.index + 3;
  blocked.add(edge.index);
  return -1;
}

/** `<http://…>` */
export function addresses(data: string, { stash }: InlineContext): Find | null {
  return angles(
    data,
    (inside) => {
      if (!WEB_ADDRESS.test(inside)) return null;
      const link = element('a', inside, true);
      link.attributes.set('href', stash.plain(inside));
      return link;
    },
    null,
  );
}

/** `<name@host>`: every character as an entity. */
export function mailAddresses(data: string, { stash }: InlineContext): Find | null {
  return angles(
    data,
    (inside) => {
      const sign = inside.lastIndexOf('@');
      const shaped = sign > 0 && sign < inside.length - 1 && !inside.includes(' ');
      if (!shaped || inside.slice(0, sign).includes('!')) return null;
      const mail = stash.plain(inside).replace(/^mailto:/u, '');
      const named = (letter: string): string => entityName(letter) ?? `#${String(letter.codePointAt(0))}`;
      const link = element('a', Array.from(mail, (letter) => `${AMPERSAND}${named(letter)};`).join(''), true);
      const numbered = (letter: string): string => `${AMPERSAND}#${String(letter.codePointAt(0))};`;
      link.attributes.set('href', Array.from(`mailto:${mail}`, numbered).join(''));
      return link;
    },
    null,
  );
}

/** A line break by two blanks. */
export function lineBreaks(data: string): Find | null {
  if (!data.includes('  \n')) return null;
  return (from) => {
    const start = data.indexOf('  \n', from);
    return start < 0 ? null : { start, end: start + 3, node: element('br'), again: false };
  };
}

/** Tags and comments, which go to the output as they are. */
export function rawTags(data: string, { raw, stash }: InlineContext): Find | null {
  const store = (source: string): string =>
    raw.store(stash.replace(source, (node) => (typeof node === 'string' ? `\\${node}` : serialize(node))));
  return angles(data, (inside) => (isTag(inside) ? store(`<${inside}>`) : null), store);
}

/** A letter, perhaps after a slash, and no `@` before the first blank. */
function isTag(inside: string): boolean {
  if (!/^\/?[a-zA-Z]/u.test(inside)) return false;
  const mail = inside.indexOf('@');
  const blank = inside.indexOf(' ');
  return mail < 0 || (blank >= 0 && blank < mail);
}

/** Entities are kept. */
export function entities(data: string, { raw }: InlineContext): Find | null {
  if (!data.includes('&')) return null;
  return (from) => {
    ENTITY.lastIndex = from;
    const match = ENTITY.exec(data);
    if (match === null) return null;
    return { start: match.index, end: match.index + match[0].length, node: raw.store(match[0]), again: false };
  };
}

/** An asterisk or underscore by itself is no emphasis. */
export function loneMarks(data: string): Find | null {
  if (!data.includes('*') && !data.includes('_')) return null;
  return (from) => {
    for (let at = from; at < data.length; at += 1) {
      const code = data.charCodeAt(at);
      if (code !== 0x2a && code !== 0x5f) continue;
      const last = at + 1 === data.length;
      const after = last || isSpace(data.charCodeAt(at + 1));
      const before = at === 0 || (at > from && isSpace(data.charCodeAt(at - 1)));
      if (!before || !after) continue;
      const start = Math.max(at - 1, 0);
      const end = last ? at + 1 : at + 2;
      return { start, end, node: data.slice(start, end), again: false };
    }
    return null;
  };
}
