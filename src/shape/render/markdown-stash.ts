import type { Reference } from './markdown-definitions.js';
import type { RawHtml } from './markdown-raw.js';
import { ETX, STX } from './markdown-text.js';
import type { Work } from './markdown-text.js';
import { textOf } from './markdown-tree.js';
import type { Element } from './markdown-tree.js';

const MARK = new RegExp(`${STX}klzzwxh:([0-9]+)${ETX}`, 'gu');

/** Something found in a text: an element, or a string that nothing looks at again. */
export interface Found {
  readonly start: number;
  readonly end: number;
  readonly node: Element | string;
  /** Something before it was refused that may count now that this is out of the way: look again from the start. */
  readonly again: boolean;
}

/** The next of one kind at or after a position. Asked in ascending order. */
export type Find = (from: number) => Found | null;

export interface InlineContext {
  readonly references: ReadonlyMap<string, Reference>;
  readonly raw: RawHtml;
  readonly stash: Stash;
  readonly work: Work;
  /** What references may still add to the output. */
  readonly expansion: Work;
}

interface MarkedNode {
  readonly start: number;
  readonly end: number;
  readonly node: Element | string;
}

/** What marks in a text stand for. */
export class Stash {
  private readonly nodes: (Element | string)[] = [];

  store(node: Element | string): string {
    this.nodes.push(node);
    return `${STX}klzzwxh:${String(this.nodes.length - 1).padStart(4, '0')}${ETX}`;
  }

  *marksIn(text: string): Generator<MarkedNode> {
    if (!text.includes(STX)) return;
    for (const match of text.matchAll(MARK)) {
      const node = this.nodes[Number(match[1])];
      if (node !== undefined) yield { start: match.index, end: match.index + match[0].length, node };
    }
  }

  /** The text with every mark replaced: strings as they are, elements as their text (marks in that stay). */
  plain(text: string): string {
    return this.replace(text, (node) => (typeof node === 'string' ? node : textOf(node)));
  }

  replace(text: string, spell: (node: Element | string) => string): string {
    if (!text.includes(STX)) return text;
    return text.replace(MARK, (_mark: string, id: string) => {
      const node = this.nodes[Number(id)];
      return node === undefined ? '' : spell(node);
    });
  }
}
