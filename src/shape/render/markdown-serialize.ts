import { ETX, STX, isBlank, stripEnd } from './markdown-text.js';
import { codeOf, isBlockTag } from './markdown-tree.js';
import type { Element } from './markdown-tree.js';

const ESCAPED = new RegExp(`${STX}([0-9]+)${ETX}`, 'gu');
/** An ampersand that begins no entity. The last four are letters to Python when case is ignored. */
const LONE_AMPERSAND = /&(?!(?:#[0-9]+|#[xX][0-9a-fA-F]+|[0-9a-zA-Z\u0130\u0131\u017F\u212A]+);)/gu;
const EMPTY_TAGS = new Set(['br', 'hr', 'img']);

/** Line ends between blocks and after breaks, one at the end of code. */
export function prettify(node: Element): void {
  layOut(node);
  finishLines(node);
}

function layOut(node: Element): void {
  if (isBlockTag(node.tag) && node.tag !== 'pre') {
    const first = node.children[0];
    if (first !== undefined && isBlockTag(first.tag) && isBlank(node.text)) node.text = '\n';
    for (const child of node.children) if (isBlockTag(child.tag)) layOut(child);
  }
  if (isBlank(node.tail)) node.tail = '\n';
}

function finishLines(node: Element): void {
  if (node.tag === 'br') node.tail = isBlank(node.tail) ? '\n' : `\n${node.tail}`;
  const code = codeOf(node);
  if (code !== undefined && code.children.length === 0) code.text = `${stripEnd(code.text)}\n`;
  for (const child of node.children) finishLines(child);
}

/** Escaped characters become themselves. */
export function unescape(node: Element): void {
  if (node.tag !== 'code') node.text = unescapeText(node.text);
  node.tail = unescapeText(node.tail);
  for (const [name, value] of node.attributes) node.attributes.set(name, unescapeText(value));
  for (const child of node.children) unescape(child);
}

function unescapeText(text: string): string {
  if (!text.includes(STX)) return text;
  return text.replace(ESCAPED, (_mark: string, code: string) => String.fromCodePoint(Number(code)));
}

export function serialize(node: Element): string {
  const out: string[] = [];
  write(node, out);
  return out.join('');
}

function write(node: Element, out: string[]): void {
  out.push('<', node.tag);
  for (const [name, value] of [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    out.push(` ${name}="`, escapeText(value).replaceAll('"', '&quot;'), '"');
  }
  if (EMPTY_TAGS.has(node.tag)) {
    out.push(' />');
  } else {
    out.push('>', escapeText(node.text));
    for (const child of node.children) write(child, out);
    out.push('</', node.tag, '>');
  }
  out.push(escapeText(node.tail));
}

function escapeText(text: string): string {
  return text.replace(LONE_AMPERSAND, '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
