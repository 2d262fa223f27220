import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLsn, parseLsn } from '../../src/lsn.js';

test('an LSN is read as one number, its halves padded or not, in either case', () => {
  expect(parseLsn('0/0')).toBe(0n);
  expect(parseLsn('16/B374D848')).toBe(0x16_b374_d848n);
  expect(parseLsn('16/b374d848')).toBe(0x16_b374_d848n);
  expect(parseLsn('00000016/0000D848')).toBe(0x16_0000_d848n);
  expect(parseLsn('1/5')).toBe(0x1_0000_0005n);
  expect(parseLsn('FFFFFFFF/FFFFFFFF')).toBe(0xffff_ffff_ffff_ffffn);
});

test('an LSN is written as the server writes it: upper case, without padding', () => {
  expect(formatLsn(0n)).toBe('0/0');
  expect(formatLsn(0x1_0000_0005n)).toBe('1/5');
  expect(formatLsn(0x16_b374_d848n)).toBe('16/B374D848');
});

test('what is written is read as the same, and numbers compare where texts do not', () => {
  const lsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
  fc.assert(fc.property(lsn, (position) => parseLsn(formatLsn(position)) === position));
  expect(parseLsn('9/0') < parseLsn('10/0')).toBe(true);
});

test.each(['', '/', '0', '0/', '/0', '0/0/0', 'g/0', '0/ 1', '-1/0', '123456789/0', '0/123456789', '0x1/0'])('%j is refused by name', (text) => {
  expect(() => parseLsn(text)).toThrow(RangeError);
  expect(() => parseLsn(text)).toThrow(JSON.stringify(text));
});
