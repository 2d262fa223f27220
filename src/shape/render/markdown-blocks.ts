import { findDefinition } from './markdown-definitions.js';
import type { Reference } from './markdown-definitions.js';
import { Source, textIn } from './markdown-lines.js';
import type { Heading, Range, Span } from './markdown-lines.js';
import { listItems, listMarker } from './markdown-lists.js';
import { append, codeOf, element } from './markdown-tree.js';
import type { Element } from './markdown-tree.js';
import { escapeCode, isBlank, skipBlanks, stripEnd, stripStart } from './markdown-text.js';
import type { Work } from './markdown-text.js';
import { strip } from './python-characters.js';

/**
 * How deep the application's parser goes, in frames of Python's stack: quotes stop at the first number, and inside
 * lists Python fails at the second; here the markers are text from there on.
 */
const QUOTE_FRAMES = 893;
const LIST_FRAMES = 988;
const INDENT = '    ';
const SETEXT = /^[=-]+ *$/u;

type State = 'list' | 'loose' | 'detabbed' | 'quote' | 'top';

/** Builds the tree of blocks; their texts are still Markdown. */
export class BlockParser {
  readonly references = new Map<string, Reference>();
  private readonly states: State[] = ['top'];
  private readonly work: Work;
  private frames = 0;

  constructor(work: Work) {
    this.work = work;
  }

  parse(text: string): Element {
    const root = element('div');
    this.parseText(root, text);
    return root;
  }

  private get state(): State {
    return this.states.at(-1) ?? 'top';
  }

  private parseText(parent: Element, text: string): void {
    this.parseBlocks(parent, new Source(text).blocks());
  }

  /** One text as one block, whatever it has of empty lines. */
  private parseOne(parent: Element, block: Range): void {
    this.frames += 2;
    this.parseBlocks(parent, [block]);
    this.frames -= 2;
  }

  private inState(state: State, parse: () => void): void {
    this.states.push(state);
    parse();
    this.states.pop();
  }

  /** The blocks come last first; what is left of one goes back on the list. */
  private parseBlocks(parent: Element, blocks: Range[]): void {
    for (let block = blocks.pop(); block !== undefined; block = blocks.pop()) this.parseBlock(parent, block, blocks);
  }

  private parseBlock(parent: Element, block: Range, blocks: Range[]): void {
    const { source, from, to } = block;
    if (from >= to || source.text[from] === '\n') {
      this.empty(parent, block, blocks);
      return;
    }
    const indented = to - from >= 4 && source.text.startsWith(INDENT, from);
    if (indented && this.belongsToList(parent, block)) {
      this.indented(parent, block);
    } else if (indented) {
      code(parent, block, blocks);
    } else {
      this.unindented(parent, block, blocks);
    }
  }

  private unindented(parent: Element, block: Range, blocks: Range[]): void {
    const { source } = block;
    const heading = source.heading(block);
    if (heading !== null) {
      this.heading(parent, block, heading, blocks);
      return;
    }
    if (setext(parent, block, blocks)) return;
    const rule = source.rule(block);
    if (rule !== null) {
      this.rule(parent, block, rule, blocks);
      return;
    }
    const marker = listMarker(source.text, block.from);
    if (marker !== null && this.mayNest(LIST_FRAMES, block)) {
      this.list(parent, marker.ordered ? 'ol' : 'ul', block);
      return;
    }
    const quote = source.quote(block);
    if (quote !== null && this.mayNest(QUOTE_FRAMES, block)) {
      this.quote(parent, block, quote);
      return;
    }
    if (!this.definition(block, blocks)) this.paragraph(parent, textIn(block));
  }

  private mayNest(limit: number, block: Range): boolean {
    return this.frames < limit && this.work.take(block.to - block.from);
  }

  private empty(parent: Element, block: Range, blocks: Range[]): void {
    const codeBefore = codeOf(parent.children.at(-1));
    const hasText = block.from < block.to;
    if (codeBefore !== undefined) codeBefore.text += hasText ? '\n' : '\n\n';
    if (block.from + 1 < block.to) blocks.push({ ...block, from: block.from + 1 });
  }

  private belongsToList(parent: Element, block: Range): boolean {
    if (this.state === 'detabbed') return false;
    const inList = parent.tag === 'li' || isList(parent.children.at(-1));
    return inList && this.mayNest(LIST_FRAMES, block);
  }

  /** Text indented under a list: it goes to the item at its depth. */
  private indented(parent: Element, block: Range): void {
    const { level, place } = this.depth(parent, block);
    const inner = detabLoosely(textIn(block), level);
    const asOne = (target: Element): void => {
      this.parseOne(target, new Source(inner).whole());
    };
    this.inState('detabbed', () => {
      const last = place.children.at(-1);
      const lastOfParent = parent.children.at(-1);
      if (parent.tag === 'li') {
        asOne(lastOfParent !== undefined && isList(lastOfParent) ? lastOfParent : parent);
      } else if (place.tag === 'li') {
        asOne(place);
      } else if (last?.tag === 'li') {
        wrapText(last);
        this.frames += 3;
        this.parseText(last, inner);
        this.frames -= 3;
      } else {
        asOne(append(place, 'li'));
      }
    });
  }

  private depth(parent: Element, block: Range): { readonly level: number; readonly place: Element } {
    const blanks = Math.min(skipBlanks(block.source.text, block.from), block.to) - block.from;
    const wanted = Math.floor(blanks / 4);
    let level = this.state === 'list' ? 1 : 0;
    let place = parent;
    while (wanted > level) {
      const child = place.children.at(-1);
      if (child === undefined || (child.tag !== 'li' && !isList(child))) break;
      if (isList(child)) level += 1;
      place = child;
    }
    return { level, place };
  }

  private heading(parent: Element, block: Range, heading: Heading, blocks: Range[]): void {
    if (heading.start > block.from) this.parseOne(parent, { ...block, to: heading.start - 1 });
    const { text } = block.source;
    append(parent, `h${String(heading.level)}`, strip(text.slice(heading.title.start, heading.title.end)));
    if (heading.end < block.to) blocks.push({ ...block, from: heading.end });
  }

  private rule(parent: Element, block: Range, rule: Span, blocks: Range[]): void {
    const { text } = block.source;
    let before = rule.start;
    while (before > block.from && text[before - 1] === '\n') before -= 1;
    if (before > block.from) this.parseOne(parent, { ...block, to: before });
    append(parent, 'hr');
    let after = rule.end;
    while (after < block.to && text[after] === '\n') after += 1;
    if (after < block.to) blocks.push({ ...block, from: after });
  }

  private quote(parent: Element, block: Range, quote: Span): void {
    const first = quote.start > block.from ? quote.start - 1 : block.from;
    this.parseOne(parent, { ...block, to: first });
    const lines = block.source.text.slice(first, block.to).split('\n');
    const last = parent.children.at(-1);
    const target = last?.tag === 'blockquote' ? last : append(parent, 'blockquote');
    this.frames += 3;
    this.inState('quote', () => {
      this.parseText(target, lines.map(unquote).join('\n'));
    });
    this.frames -= 3;
  }

  private list(parent: Element, tag: 'ol' | 'ul', block: Range): void {
    const items = listItems(textIn(block));
    const sibling = parent.children.at(-1);
    let list: Element;
    if (sibling !== undefined && isList(sibling)) {
      list = sibling;
      const previous = list.children.at(-1);
      if (previous !== undefined) loosen(previous);
      const first = items.shift();
      const item = append(list, 'li');
      this.inState('loose', () => {
        if (first !== undefined) this.parseOne(item, new Source(first).whole());
      });
    } else {
      list = isList(parent) ? parent : append(parent, tag);
    }
    this.inState('list', () => {
      for (const item of items) {
        const last = list.children.at(-1);
        const target = last !== undefined && item.startsWith(INDENT) ? last : append(list, 'li');
        this.parseOne(target, new Source(item).whole());
      }
    });
  }

  private definition(block: Range, blocks: Range[]): boolean {
    const text = textIn(block);
    const found = findDefinition(text);
    if (found === null) return false;
    this.references.set(found.name, { address: found.address, title: found.title });
    const after = text.slice(found.end);
    if (!isBlank(after)) {
      let from = block.from + found.end;
      while (block.source.text[from] === '\n') from += 1;
      blocks.push({ ...block, from });
    }
    if (!isBlank(text.slice(0, found.start))) {
      let to = block.from + found.start;
      while (block.source.text[to - 1] === '\n') to -= 1;
      blocks.push({ ...block, to });
    }
    return true;
  }

  private paragraph(parent: Element, text: string): void {
    if (isBlank(text)) return;
    if (this.state !== 'list') {
      append(parent, 'p', stripStart(text));
      return;
    }
    const sibling = parent.children.at(-1);
    if (sibling !== undefined) sibling.tail += `\n${text}`;
    else if (parent.text === '') parent.text = stripStart(text);
    else parent.text += `\n${text}`;
  }
}

function isList(node: Element | undefined): boolean {
  return node?.tag === 'ul' || node?.tag === 'ol';
}

/** The text of a list item becomes a paragraph. */
function wrapText(item: Element): void {
  if (item.text === '') return;
  item.children.unshift(element('p', item.text));
  item.text = '';
}

function loosen(item: Element): void {
  wrapText(item);
  const last = item.children.at(-1);
  if (last === undefined || last.tail === '') return;
  append(item, 'p', stripStart(last.tail));
  last.tail = '';
}

/** Two lines of which the second is a row of `=` or `-`. */
function setext(parent: Element, block: Range, blocks: Range[]): boolean {
  const { source, from, to } = block;
  const first = source.text.indexOf('\n', from);
  if (first < 0 || first >= to) return false;
  const sign = source.text[first + 1];
  if (first + 1 >= to || (sign !== '=' && sign !== '-')) return false;
  const newline = source.text.indexOf('\n', first + 1);
  const second = newline < 0 || newline > to ? to : newline;
  if (!SETEXT.test(source.text.slice(first + 1, second))) return false;
  append(parent, sign === '=' ? 'h1' : 'h2', strip(source.text.slice(from, first)));
  if (second < to) blocks.push({ ...block, from: second + 1 });
  return true;
}

/** Indented lines are code; what follows them is not. */
function code(parent: Element, block: Range, blocks: Range[]): void {
  const { source, to } = block;
  const lines: string[] = [];
  let from = block.from;
  while (from <= to) {
    const newline = source.text.indexOf('\n', from);
    const end = newline < 0 || newline > to ? to : newline;
    const line = source.text.slice(from, end);
    if (line.startsWith(INDENT)) lines.push(line.slice(4));
    else if (isBlank(line)) lines.push('');
    else break;
    from = end + 1;
  }
  const text = escapeCode(stripEnd(lines.join('\n')));
  const before = codeOf(parent.children.at(-1));
  if (before === undefined) append(append(parent, 'pre'), 'code', `${text}\n`, true);
  else before.text += `\n${text}\n`;
  if (from < to) blocks.push({ ...block, from });
}

function detabLoosely(text: string, level: number): string {
  if (level === 0) return text;
  const indent = INDENT.repeat(level);
  return text
    .split('\n')
    .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
    .join('\n');
}

function unquote(line: string): string {
  if (strip(line) === '>') return '';
  const at = skipBlanks(line, 0, 3);
  if (line[at] !== '>') return line;
  return line.slice(line[at + 1] === ' ' ? at + 2 : at + 1);
}
