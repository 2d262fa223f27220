import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { PayloadError } from '../../src/receiver/errors.js';
import { parse } from '../../src/receiver/parse.js';
import { schemaFile, schemas, schemaText } from '../../scripts/schemas.js';

const generated = schemas();

test('docs/schemas is what the types of the payloads say; `npm run schemas` writes it', async () => {
  for (const [name, schema] of generated) expect(await readFile(schemaFile(name), 'utf8'), name).toBe(schemaText(schema));
});

test('parse takes what the schema takes, and refuses what it refuses', () => {
  const accepts = new Ajv({ allowUnionTypes: true }).compile(generated.get('payload') ?? {});
  const parses = (body: object): boolean => {
    try {
      parse(body);
      return true;
    } catch (error) {
      if (error instanceof PayloadError) return false;
      throw error;
    }
  };
  const odd = fc.oneof(fc.constantFrom(null, '', 'text', 7, true), fc.constant([]), fc.constant({}), fc.constant([{}]), fc.constant(['x']));
  /** Mostly right, now and then something else in its place, or nothing. */
  const mostly = <T>(right: fc.Arbitrary<T>): fc.Arbitrary<unknown> => fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: odd });
  const record = (shape: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> => fc.record(shape, { requiredKeys: [] });
  const text = mostly(fc.string());
  const message = mostly(record({
    timestamp: text, user: text, content: text, args: mostly(fc.array(text, { maxLength: 2 })), kwargs: mostly(fc.dictionary(fc.string(), odd)),
    reactions: mostly(fc.array(record({ timestamp: text, reaction: text, user: text }), { maxLength: 2 })),
    attachments: mostly(fc.array(mostly(record({ title: odd, other: odd })), { maxLength: 2 })),
  }));
  const payload = record({
    token: text,
    type: mostly(fc.constantFrom('url_verification', 'update_notification', 'republish_request', 'unpublish_request')),
    challenge: text, channel: text, chat_type: text, channel_data: text, message, more: odd,
    update_type: mostly(fc.constantFrom('message_created', 'message_changed', 'message_deleted', null)),
  });
  let taken = 0;
  fc.assert(
    fc.property(payload, (body) => {
      const accepted = accepts(body);
      if (accepted) taken += 1;
      expect(parses(body)).toBe(accepted);
    }),
    { numRuns: 5_000 },
  );
  // Neither all nor none, or nothing was compared.
  expect(taken).toBeGreaterThan(100);
  expect(taken).toBeLessThan(4_900);
});
