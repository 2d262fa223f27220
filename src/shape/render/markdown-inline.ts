import { escapes, codeSpans } from './markdown-inline-code.js';
import { emphasis } from './markdown-inline-emphasis.js';
import { addresses, entities, lineBreaks, loneMarks, mailAddresses, rawTags } from './markdown-inline-html.js';
import { links, references } from './markdown-inline-links.js';
import type { Find, Found, InlineContext, Stash } from './markdown-stash.js';
import { element } from './markdown-tree.js';
import type { Element } from './markdown-tree.js';
import { isBlank } from './markdown-text.js';

/** In the order in which they are looked for, each over the whole text before the next. */
const KINDS: readonly ((data: string, context: InlineContext) => Find | null)[] = [
  codeSpans,
  escapes,
  (data, context) => references(data, context, { image: false, short: false }),
  (data, context) => links(data, context, false),
  (data, context) => links(data, context, true),
  (data, context) => references(data, context, { image: true, short: false }),
  (data, context) => references(data, context, { image: false, short: true }),
  (data, context) => references(data, context, { image: true, short: true }),
  addresses,
  mailAddresses,
  lineBreaks,
  rawTags,
  entities,
  loneMarks,
  (data) => emphasis(data, '*'),
  (data) => emphasis(data, '_'),
];

/** Turns the texts of a tree of blocks into elements. */
export class InlineParser {
  private readonly context: InlineContext;
  private readonly stash: Stash;

  constructor(context: InlineContext) {
    this.context = context;
    this.stash = context.stash;
  }

  run(root: Element): void {
    const waiting = [root];
    for (let parent = waiting.pop(); parent !== undefined; parent = waiting.pop()) this.parseChildren(parent, waiting);
  }

  private parseChildren(parent: Element, waiting: Element[]): void {
    const done: Element[] = [];
    const inserts: (readonly [Element, Element[]])[] = [];
    const next = parent.children.toReversed();
    for (let child = next.pop(); child !== undefined; child = next.pop()) {
      if (child.text !== '' && !child.textDone) {
        const text = child.text;
        child.text = '';
        const found = this.place(this.parseText(text, 0), false, child, true);
        for (const node of found) waiting.push(node);
        inserts.push([child, found]);
      }
      // What a tail gives follows the child and is looked at in its turn.
      if (child.tail !== '') for (const node of this.parseTail(child).toReversed()) next.push(node);
      done.push(child);
      if (child.children.length > 0) waiting.push(child);
    }
    parent.children = done;
    for (const [child, found] of inserts) if (found.length > 0) child.children = [...found, ...child.children];
  }

  private parseTail(child: Element): Element[] {
    const tail = child.tailDone ? child.tail : this.parseText(child.tail, 0);
    const holder = element('d');
    const found = this.place(tail, child.tailDone, holder, false);
    child.tail = holder.tail;
    child.tailDone = holder.tailDone;
    return found;
  }

  /** Replaces what is found, from one kind on, by marks. */
  private parseText(text: string, firstKind: number): string {
    if (text === '' || !this.context.work.take(text.length)) return text;
    let data = text;
    for (let kind = firstKind; kind < KINDS.length; kind += 1) data = this.parseKind(data, kind);
    return data;
  }

  private parseKind(text: string, kind: number): string {
    let data = text;
    for (;;) {
      const find = KINDS[kind]?.(data, this.context) ?? null;
      if (find === null) return data;
      const out: string[] = [];
      let at = 0;
      let again = false;
      for (let found = find(0); found !== null && !again; found = again ? null : find(at)) {
        out.push(data.slice(at, found.start), this.finish(found, kind));
        at = found.end;
        again = found.again && this.context.work.take(data.length);
      }
      if (out.length === 0) return data;
      data = out.join('') + data.slice(at);
      if (!again) return data;
    }
  }

  private finish(found: Found, kind: number): string {
    const { node } = found;
    if (typeof node !== 'string' && !node.textDone) {
      node.text = this.parseText(node.text, kind + 1);
      for (const child of node.children) {
        child.text = this.parseText(child.text, kind + 1);
        child.tail = this.parseText(child.tail, kind);
      }
    }
    return this.stash.store(node);
  }

  /**
   * Puts the elements that marks stand for in their place: text goes to the owner (or the element before it), and
   * the elements are returned.
   */
  private place(data: string, done: boolean, owner: Element, isText: boolean): Element[] {
    const result: Element[] = [];
    const link = (text: string, finished: boolean): void => {
      if (text === '') return;
      const last = result.at(-1);
      if (last !== undefined || !isText) {
        const target = last ?? owner;
        target.tailDone = finished && target.tail === '';
        target.tail += text;
      } else {
        owner.textDone = finished && owner.text === '';
        owner.text += text;
      }
    };
    let at = 0;
    for (const mark of this.stash.marksIn(data)) {
      link(data.slice(at, mark.start), false);
      at = mark.end;
      if (typeof mark.node === 'string') {
        link(mark.node, false);
      } else {
        this.placeInside(mark.node);
        result.push(mark.node);
      }
    }
    link(data.slice(at), done);
    return result;
  }

  private placeInside(node: Element): void {
    const children = [...node.children];
    const placed: Element[] = [];
    for (const child of children) {
      const after = this.placeTail(child);
      this.placeText(child);
      placed.push(child, ...after);
    }
    node.children = placed;
    this.placeText(node);
  }

  private placeText(node: Element): void {
    if (isBlank(node.text)) return;
    const { text, textDone } = node;
    node.text = '';
    node.textDone = false;
    const found = this.place(text, textDone, node, true);
    if (found.length > 0) node.children = [...found, ...node.children];
  }

  private placeTail(node: Element): Element[] {
    if (isBlank(node.tail)) return [];
    const { tail, tailDone } = node;
    node.tail = '';
    node.tailDone = false;
    return this.place(tail, tailDone, node, false);
  }
}
