const INTEGER = /^-?\d+$/u;

/** Keys as the database orders them: whole numbers by size, uuids by their text; texts by character, after numbers. */
export function compareIds(a: string | null | undefined, b: string | null | undefined): number {
  const left = a ?? '';
  const right = b ?? '';
  const numeric = INTEGER.test(left);
  if (numeric !== INTEGER.test(right)) return numeric ? -1 : 1;
  if (numeric) {
    const difference = BigInt(left) - BigInt(right);
    if (difference !== 0n) return difference < 0n ? -1 : 1;
  }
  return left < right ? -1 : left > right ? 1 : 0;
}
