/**
 * A position in the write-ahead log. PostgreSQL prints it as two hex halves without padding
 * ('16/B374D848'), so text must never be compared; inside it is one 64-bit number.
 * https://www.postgresql.org/docs/current/datatype-pg-lsn.html
 */
export type Lsn = bigint;

/** @throws {RangeError} when the text is not an LSN */
export function parseLsn(text: string): Lsn {
  const [high, low, rest] = text.split('/');
  if (high === undefined || low === undefined || rest !== undefined || !isHalf(high) || !isHalf(low)) {
    throw new RangeError(`not an LSN: ${JSON.stringify(text)}`);
  }
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

function isHalf(text: string): boolean {
  return /^[0-9a-f]{1,8}$/iu.test(text);
}
