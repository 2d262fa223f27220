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

const RANGES: Readonly<Record<string, bigint>> = { smallint: 2n ** 15n, integer: 2n ** 31n, bigint: 2n ** 63n };
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;

/**
 * Whether the server can take the text for a key: anyone may name one in a request, and a query that fails would be
 * tried for ever.
 * @param type as the catalog calls it
 */
export function isKey(text: string, type: string): boolean {
  const range = RANGES[type];
  if (range !== undefined) return /^-?\d{1,19}$/u.test(text) && BigInt(text) < range && BigInt(text) >= -range;
  return type === 'uuid' ? UUID.test(text) : !text.includes('\0');
}
