/** Elements as Python's ElementTree has them: text before the first child, and the tail that follows the element. */
export interface Element {
  readonly tag: string;
  text: string;
  /** The text is finished: nothing in it is looked at again. */
  textDone: boolean;
  tail: string;
  tailDone: boolean;
  readonly attributes: Map<string, string>;
  children: Element[];
}

export function element(tag: string, text = '', textDone = false): Element {
  return { tag, text, textDone, tail: '', tailDone: false, attributes: new Map(), children: [] };
}

export function append(parent: Element, tag: string, text = '', textDone = false): Element {
  const child = element(tag, text, textDone);
  parent.children.push(child);
  return child;
}

/** All text inside, tails of the children too. */
export function textOf(node: Element): string {
  return node.text + node.children.map((child) => textOf(child) + child.tail).join('');
}

/** The code element of a code block, if this is one. */
export function codeOf(node: Element | undefined): Element | undefined {
  const first = node?.tag === 'pre' ? node.children[0] : undefined;
  return first?.tag === 'code' ? first : undefined;
}

const BLOCK_TAGS = new Set(
  (
    'address article aside blockquote details div dl fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header ' +
    'hgroup hr main menu nav ol p pre section table ul canvas colgroup dd body dt group iframe li legend math map ' +
    'noscript output object option progress script style summary tbody td textarea tfoot th thead tr video'
  ).split(' '),
);

/** Does HTML with this tag stand by itself, outside paragraphs? */
export function isBlockTag(tag: string): boolean {
  let end = tag.length;
  while (end > 0 && tag[end - 1] === '/') end -= 1;
  return end <= 10 && BLOCK_TAGS.has(tag.slice(0, end).toLowerCase());
}
