import { BlockParser } from './markdown-blocks.js';
import { extractHtml } from './markdown-html.js';
import { InlineParser } from './markdown-inline.js';
import { RawHtml } from './markdown-raw.js';
import { prettify, serialize, unescape } from './markdown-serialize.js';
import { Stash } from './markdown-stash.js';
import { AMPERSAND, isBlank, normalize, strip, Work } from './markdown-text.js';

/** What nested blocks, and texts looked at again, may cost for each character. */
const BLOCK_TIMES = 8;
const INLINE_TIMES = 32;
const EXPANSION_TIMES = 16;

const OPENING = '<div>'.length;
const CLOSING = '</div>'.length;

/**
 * Markdown as the application renders it: Python-Markdown 3.4.1 without extensions, XHTML. Never throws; where
 * Python's would fail, the text that it fails at stays text.
 */
export function renderMarkdown(text: string): string {
  if (isBlank(text)) return '';
  const raw = new RawHtml();
  const source = extractHtml(normalize(text), raw);
  const blocks = new BlockParser(new Work(source.length, BLOCK_TIMES));
  const root = blocks.parse(source);
  new InlineParser({
    references: blocks.references,
    raw,
    stash: new Stash(),
    work: new Work(source.length, INLINE_TIMES),
    expansion: new Work(source.length, EXPANSION_TIMES),
  }).run(root);
  prettify(root);
  unescape(root);
  const output = serialize(root).trimEnd();
  return strip(raw.restore(strip(output.slice(OPENING, output.length - CLOSING))).replaceAll(AMPERSAND, '&'));
}
