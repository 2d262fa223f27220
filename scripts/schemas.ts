import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createGenerator } from 'ts-json-schema-generator';

const root = resolve(import.meta.dirname, '..');

/** Their names are those of docs/schemas; each is made of one type of src/receiver/payloads.ts. */
const TYPES = [
  ['payload', 'Payload'],
  ['url_verification', 'UrlVerification'],
  ['update_notification', 'UpdateNotification'],
  ['republish_request', 'RepublishRequest'],
  ['unpublish_request', 'UnpublishRequest'],
  ['channel_data', 'ChannelData'],
] as const;

export type SchemaName = (typeof TYPES)[number][0];

/** @param closed with keys that are not named refused; a receiver must let them pass */
export function schemas(closed = false): ReadonlyMap<SchemaName, object> {
  const generator = createGenerator({
    path: join(root, 'src/receiver/payloads.ts'), tsconfig: join(root, 'tsconfig.json'), skipTypeCheck: true, topRef: false, additionalProperties: !closed,
  });
  return new Map(TYPES.map(([name, type]) => [name, { title: name, ...generator.createSchema(type) }]));
}

export const schemaText = (schema: object): string => `${JSON.stringify(schema, null, 2)}\n`;

export const schemaFile = (name: SchemaName): string => join(root, 'docs/schemas', `${name}.json`);

if (process.argv[1] === import.meta.filename) {
  mkdirSync(join(root, 'docs/schemas'), { recursive: true });
  for (const [name, schema] of schemas()) writeFileSync(schemaFile(name), schemaText(schema));
}
