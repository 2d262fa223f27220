import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyType, present, readCatalog, refuseMisfit } from '../../src/catalog.js';
import { PreconditionError } from '../../src/errors.js';
import { slackchatMapping, type ChatEntity, type TableMapping } from '../../src/mapping.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

let db: TestDatabase;

beforeAll(async () => {
  db = await createDatabase();
});
afterAll(async () => db.drop());

const own = slackchatMapping('public', 'slackchat_');

/** The application's tables with some of them elsewhere. */
function mapped(over: Partial<Record<ChatEntity, Partial<TableMapping>>>): readonly TableMapping[] {
  return [...own.values()].map((table) => ({ ...table, ...over[table.entity] }));
}

/** The lines after the first. */
async function faults(tables: readonly TableMapping[]): Promise<readonly string[]> {
  try {
    refuseMisfit(tables, await readCatalog(db.pool, tables));
  } catch (error) {
    expect(error).toBeInstanceOf(PreconditionError);
    return String(error).split('\n').slice(1).map((line) => line.trim());
  }
  return [];
}

test("the application's own tables fit", async () => {
  expect(await faults([...slackchatMapping('public', 'slackchat_', true).values()])).toEqual([]);
});

test('what is no table, or one whose changes the stream does not show whole, is refused by what it is', async () => {
  await db.query('CREATE VIEW a_view AS SELECT * FROM slackchat_message');
  await db.query('CREATE MATERIALIZED VIEW a_copy AS SELECT * FROM slackchat_reaction');
  await db.query('CREATE TABLE parted (LIKE slackchat_attachment) PARTITION BY RANGE (id)');
  await db.query('CREATE UNLOGGED TABLE unlogged (LIKE slackchat_keywordargument INCLUDING ALL)');
  await db.query('CREATE TABLE parent (LIKE slackchat_user INCLUDING ALL)');
  await db.query('CREATE TABLE child () INHERITS (parent)');
  await db.query('CREATE SEQUENCE a_sequence');
  const tables = mapped({
    message: { table: 'a_view' },
    reaction: { table: 'a_copy' },
    attachment: { table: 'parted' },
    kwarg: { table: 'unlogged' },
    user: { table: 'parent' },
    argument: { table: 'a_sequence' },
    template: { schema: 'nowhere' },
  });
  expect(await faults(tables)).toEqual([
    expect.stringMatching(/^public\.a_view is a view/u),
    expect.stringMatching(/^public\.a_copy is a view/u),
    expect.stringMatching(/^public\.parted is partitioned/u),
    expect.stringMatching(/^public\.unlogged is unlogged/u),
    expect.stringMatching(/^public\.parent has tables that inherit/u),
    expect.stringMatching(/^table public\.a_sequence does not exist .*"argument": null in MAPPING_FILE/u),
    expect.stringMatching(/^table nowhere\.slackchat_customcontenttemplate does not exist .*"template": null/u),
  ]);
});

test('a column that is missing or of a type that does not fit is named with what is accepted', async () => {
  await db.query(`CREATE TABLE posts (id numeric PRIMARY KEY, "timestamp" date, text bytea, channel_id text, user_id varchar(9), serialized bytea)`);
  await db.query(`CREATE TABLE marks (id integer, "timestamp" time, reaction char(5), message_id bigint, user_id integer)`);
  await db.query(`CREATE TABLE words (id text COLLATE "C" UNIQUE, key text, value text GENERATED ALWAYS AS (key || '!') STORED, message_id integer)`);
  const fields = { table: 'marks', optional: ['timestamp', 'argument_id', 'user_id'] };
  expect(await faults(mapped({ message: { table: 'posts' }, reaction: fields, kwarg: { table: 'words' } }))).toEqual([
    'column public.posts.id is numeric; accepted: smallint, integer, bigint, uuid, text, character varying',
    'column public.posts.timestamp is date; accepted: timestamp with time zone, timestamp without time zone',
    expect.stringMatching(/^column public\.posts\.text is bytea; accepted: text, /u),
    'column public.posts.channel_id is text, but the key that it refers to, public.slackchat_channel.id, is uuid',
    'column public.posts.user_id is character varying(9), but the key that it refers to, public.slackchat_user.id, is integer',
    'column public.marks.id is no key: it must be NOT NULL and have a unique index of its own',
    expect.stringMatching(/^column public\.marks\.timestamp is time without time zone; accepted: .*; "timestamp": null in MAPPING_FILE leaves it out$/u),
    expect.stringMatching(/^column public\.marks\.reaction is character\(5\); accepted: text, /u),
    'column public.words.id is no key: it must be NOT NULL and have a unique index of its own',
    'column public.words.value is generated, and such columns are not in the stream',
  ]);
  const away = { ...own.get('message')?.columns, text: 'body', timestamp: 'at' };
  expect(await faults(mapped({ message: { columns: away } }))).toEqual([
    'column public.slackchat_message.at does not exist',
    'column public.slackchat_message.body does not exist',
  ]);
});

test('a key needs a unique index that covers every row and nothing else, and texts that are equal only when they are the same', async () => {
  await db.query(`CREATE COLLATION IF NOT EXISTS vague (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
  const key = async (table: string, columns: string): Promise<readonly string[]> => {
    await db.query(`CREATE TABLE ${table} (api_id text, ${columns})`);
    return faults(mapped({ user: { table }, message: { columns: { ...own.get('message')?.columns } } }));
  };
  const none = [expect.stringMatching(/is no key/u)];
  expect(await key('by_two', 'id integer, other integer, PRIMARY KEY (id, other)')).toEqual(none);
  expect(await key('nullable', 'id integer UNIQUE')).toEqual(none);
  expect(await key('identity', 'id bigint GENERATED ALWAYS AS IDENTITY UNIQUE')).toEqual([]);
  await db.query('CREATE TABLE partial_key (api_id text, id integer NOT NULL)');
  await db.query("CREATE UNIQUE INDEX ON partial_key (id) WHERE api_id <> ''");
  expect(await faults(mapped({ user: { table: 'partial_key' } }))).toEqual(none);
  await db.query('CREATE TABLE vague_key (api_id text, id text COLLATE vague PRIMARY KEY)');
  expect(await faults(mapped({ user: { table: 'vague_key' } }))).toContainEqual(expect.stringMatching(/^column public\.vague_key\.id has a collation/u));
});

test('integers of other widths, domains, enums and case-insensitive texts fit', async () => {
  await db.query('CREATE EXTENSION IF NOT EXISTS citext');
  await db.query("CREATE TYPE mood AS ENUM ('thumbsup', 'tada')");
  await db.query('CREATE DOMAIN short AS varchar(80)');
  await db.query('CREATE DOMAIN room_key AS short');
  await db.query('CREATE TABLE rooms (id room_key PRIMARY KEY, chat_type_id bigint)');
  await db.query('CREATE TABLE notes (id smallint PRIMARY KEY, "timestamp" timestamp, text citext, channel_id text, user_id bigint)');
  await db.query('CREATE TABLE moods (id uuid PRIMARY KEY, "timestamp" timestamptz(3), reaction mood, argument_id integer, message_id bigint, user_id smallint)');
  const tables = mapped({ channel: { table: 'rooms' }, message: { table: 'notes' }, reaction: { table: 'moods' } });
  const catalog = await readCatalog(db.pool, tables);
  expect(await faults(tables)).toEqual([]);
  expect((['channel', 'message', 'user', 'reaction', 'argument', 'chatType'] as const).map((entity) => keyType(entity, tables, catalog))).toEqual([
    'text', 'bigint', 'bigint', 'uuid', 'integer', 'bigint',
  ]);
});

test('optional columns that are not there are left out, and tables whose names hold dots and quotes are told apart', async () => {
  await db.query('CREATE SCHEMA "a.b"');
  await db.query('CREATE SCHEMA a');
  await db.query('CREATE TABLE "a.b"."c" (id integer PRIMARY KEY, name text)');
  await db.query('CREATE TABLE a."b.c" (id integer PRIMARY KEY, name text, render_to_html boolean)');
  const tables = mapped({ argument: { schema: 'a.b', table: 'c' }, chatType: { schema: 'a', table: 'b.c', optional: ['render_to_html', 'publish_path'] } });
  expect(await faults(tables)).toEqual([]);
  const catalog = await readCatalog(db.pool, tables);
  expect(Object.keys(present(tables, catalog).get('chatType')?.columns ?? {})).toEqual(['id', 'name', 'render_to_html']);
  const swapped = mapped({ chatType: { schema: 'a.b', table: 'c', optional: ['render_to_html', 'publish_path'] } });
  expect(Object.keys(present(swapped, await readCatalog(db.pool, swapped)).get('chatType')?.columns ?? {})).toEqual(['id', 'name']);
});
