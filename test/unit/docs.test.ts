import { expect, test } from 'vitest';
import { compare, GENERATED } from '../../scripts/docs.js';

test.each(GENERATED)('$page says what the code says: npm run docs brings it up to date', async (part) => {
  const { is, should } = await compare(part);
  expect(is).toBe(should);
});
