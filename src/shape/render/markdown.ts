import { BlockParser } from './markdown-blocks.js';
import { extractHtml } from './markdown-html.js';
import { InlineParser } from './markdown-inline.js';
import { RawHtml } from './markdown-raw.js';
import { prettify, serialize, unescape } from './markdown-serialize.js';
import { Stash } from './markdown-stash.js';
import { AMPERSAND, isBlank, normalize, Work } from './markdown-text.js';
import { strip } from './python-characters.js';

/**
 * What a text may cost beyond reading it once, in characters: so much whatever its length, and so much for each
 * character. Texts of people do not come near it.
 */
const LIMITS = {
  /** Blocks inside blocks. */
  blocks: { any: 12_000_000, each: 8 },
  /** Texts of elements, and texts looked at again. */
  inline: { any: 12_000_000, each: 32 },
  /** What references add to the output. */
  expansion: { any: 1_000_000, each: 16 },
};

const OPENING = '<div>'.length;
const CLOSING = '</div>'.length;

/**
 * Markdown as the application renders it: Python-Markdown 3.4.1 without extensions, XHTML. Never throws: what Python's
 * would fail at stays text.
 */
export function renderMarkdown(text: string): string {
  if (isBlank(text)) return '';
  const work = (limit: { any: number; each: number }): Work => new Work(limit.any + limit.each * text.length);
  const raw = new RawHtml();
  const blocks = new BlockParser(work(LIMITS.blocks));
  const root = blocks.parse(extractHtml(normalize(text), raw));
  new InlineParser({
    references: blocks.references,
    raw,
    stash: new Stash(),
    work: work(LIMITS.inline),
    expansion: work(LIMITS.expansion),
  }).run(root);
  prettify(root);
  unescape(root);
  // The root's own tags, and the line end after it, are not part of the result.
  const output = serialize({ ...root, tail: '' });
  const content = strip(output.slice(OPENING, output.length - CLOSING));
  return strip(raw.restore(content).replaceAll(AMPERSAND, '&'));
}
