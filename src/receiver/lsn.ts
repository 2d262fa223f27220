/**
 * Which of two positions in the WAL comes first, for `sort` and the like: negative, 0 or positive.
 * @param a '0/16B3748': two hexadecimal halves, not padded, so their texts cannot be compared
 */
export function compareLsn(a: string, b: string): number {
  const [aHigh = 0, aLow = 0, bHigh = 0, bLow = 0] = [...a.split('/'), ...b.split('/')].map((half) => Number.parseInt(half, 16));
  return aHigh - bHigh || aLow - bLow;
}
