import { unitOf } from './python-regex-meaning.js';
import { MAX_REPEAT, type Node, type Sequence } from './python-regex-syntax.js';

/** Repetitions with bounds are written out as long as they give no more instructions than this. */
export const MAX_UNROLLED = 1000;

const sizes = new WeakMap<Sequence, number>();

/** How many instructions a sequence gives, about. */
export function sizeOf(sequence: Sequence): number {
  let size = sizes.get(sequence);
  if (size === undefined) {
    size = sequence.reduce((sum, node) => sum + nodeSize(node), 0);
    sizes.set(sequence, size);
  }
  return size;
}

function nodeSize(node: Node): number {
  switch (node.kind) {
    case 'branch':
      return node.branches.reduce((sum, branch) => sum + sizeOf(branch) + 2, 0);
    case 'group':
    case 'atomic':
    case 'look':
      return sizeOf(node.body) + 2;
    case 'conditional':
      return sizeOf(node.yes) + sizeOf(node.no ?? []) + 2;
    case 'repeat': {
      if (unitOf(node.body, 0) !== null) return 2;
      const once = sizeOf(node.body) + 4;
      const all = once * (node.max === MAX_REPEAT ? node.min + 1 : node.max);
      return all > MAX_UNROLLED ? once : all;
    }
    default:
      return 1;
  }
}
