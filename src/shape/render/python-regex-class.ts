import { parseClassEscape } from './python-regex-escapes.js';
import type { ClassItem, Unit } from './python-regex-syntax.js';
import { length, type RegexSource } from './python-regex-source.js';

/** `[...]`; the opening bracket is already taken. */
export function parseClass(source: RegexSource): Unit {
  const here = source.tell() - 1;
  const items: ClassItem[] = [];
  const negate = source.match('^');
  const piece = (): string => {
    const taken = source.get();
    if (taken === null) throw source.error('unterminated character set', source.tell() - here);
    return taken;
  };
  const itemOf = (text: string): ClassItem =>
    text.startsWith('\\') ? parseClassEscape(source, text) : { kind: 'char', code: text.codePointAt(0) ?? 0 };
  for (;;) {
    const low = piece();
    if (low === ']' && items.length > 0) break;
    const from = itemOf(low);
    if (!source.match('-')) {
      items.push(from);
      continue;
    }
    const high = piece();
    if (high === ']') {
      items.push(from, { kind: 'char', code: 45 });
      break;
    }
    const to = itemOf(high);
    if (from.kind !== 'char' || to.kind !== 'char' || to.code < from.code) {
      throw source.error(`bad character range ${low}-${high}`, length(low) + 1 + length(high));
    }
    items.push({ kind: 'range', from: from.code, to: to.code });
  }
  const [only] = items;
  // One character, also when it is given twice, is not a set; that matters where case is ignored.
  if (only?.kind === 'char' && items.every((item) => item.kind === 'char' && item.code === only.code)) {
    return { kind: 'char', code: only.code, negate };
  }
  return { kind: 'class', negate, items };
}
