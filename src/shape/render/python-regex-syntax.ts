/** The tree of a pattern. */

export type CategoryName = 'digit' | 'space' | 'word';

export type ClassItem =
  | { readonly kind: 'char'; readonly code: number }
  | { readonly kind: 'range'; readonly from: number; readonly to: number }
  | { readonly kind: 'category'; readonly name: CategoryName; readonly negate: boolean };

export type Position = 'begin' | 'end' | 'begin-string' | 'end-string' | 'boundary' | 'non-boundary';

export type RepeatMode = 'greedy' | 'lazy' | 'possessive';

/** Takes exactly one character. */
export type Unit =
  | { readonly kind: 'char'; readonly code: number; readonly negate: boolean }
  | { readonly kind: 'any' }
  | { readonly kind: 'class'; readonly negate: boolean; readonly items: readonly ClassItem[] };

export type Node =
  | Unit
  | { readonly kind: 'position'; readonly at: Position }
  | { readonly kind: 'branch'; readonly branches: readonly Sequence[] }
  | {
      readonly kind: 'group';
      readonly index: number | null;
      readonly on: number;
      readonly off: number;
      readonly body: Sequence;
    }
  | { readonly kind: 'atomic'; readonly body: Sequence }
  | {
      readonly kind: 'repeat';
      readonly min: number;
      readonly max: number;
      readonly mode: RepeatMode;
      readonly body: Sequence;
    }
  | { readonly kind: 'look'; readonly behind: boolean; readonly negate: boolean; readonly body: Sequence }
  | { readonly kind: 'reference'; readonly group: number }
  | { readonly kind: 'conditional'; readonly group: number; readonly yes: Sequence; readonly no: Sequence | null };

export type Sequence = readonly Node[];

export const FLAG = { i: 1, L: 2, m: 4, s: 8, u: 16, x: 32, a: 64, t: 128 } as const;
export const TYPE_FLAGS = FLAG.a | FLAG.L | FLAG.u;

/** Numbers of repetitions from here on are an error; this one stands for "any number". */
export const MAX_REPEAT = 4_294_967_295;
const MAX_WIDTH = 2 ** 64;

export interface Width {
  readonly min: number;
  readonly max: number;
}

/** How many characters a sequence takes; `widths` are those of the groups that are closed. */
export function widthOf(sequence: Sequence, widths: readonly (Width | null)[]): Width {
  let min = 0;
  let max = 0;
  for (const node of sequence) {
    const width = nodeWidth(node, widths);
    min += width.min;
    max += width.max;
  }
  return { min: Math.min(min, MAX_WIDTH), max: Math.min(max, MAX_WIDTH) };
}

function nodeWidth(node: Node, widths: readonly (Width | null)[]): Width {
  switch (node.kind) {
    case 'char':
    case 'any':
    case 'class':
      return { min: 1, max: 1 };
    case 'group':
    case 'atomic':
      return widthOf(node.body, widths);
    case 'branch': {
      const all = node.branches.map((branch) => widthOf(branch, widths));
      return { min: Math.min(...all.map((width) => width.min)), max: Math.max(...all.map((width) => width.max)) };
    }
    case 'repeat': {
      const body = widthOf(node.body, widths);
      const endless = node.max === MAX_REPEAT && body.max > 0;
      return { min: body.min * node.min, max: endless ? MAX_WIDTH : body.max * node.max };
    }
    case 'reference':
      return widths[node.group] ?? { min: 0, max: MAX_WIDTH };
    case 'conditional': {
      const yes = widthOf(node.yes, widths);
      const no = node.no === null ? { min: 0, max: 0 } : widthOf(node.no, widths);
      return { min: Math.min(yes.min, no.min), max: Math.max(yes.max, no.max) };
    }
    default:
      return { min: 0, max: 0 };
  }
}
