import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bridgeConfig, databaseConfig } from '../../src/config.js';
import { jsonFault } from '../../src/json-fault.js';
import { parseMapping, readMapping, type Defaults } from '../../src/mapping-file.js';
import { slackchatMapping, type ChatMapping } from '../../src/mapping.js';

const DEFAULTS: Defaults = { schema: 'public', prefix: 'slackchat_', appWebhooks: false };

function faults(file: unknown, defaults = DEFAULTS): readonly string[] {
  const read = parseMapping(typeof file === 'string' ? file : JSON.stringify(file), defaults);
  return 'faults' in read ? read.faults : [];
}

function mapping(file: unknown, defaults = DEFAULTS): ChatMapping {
  const read = parseMapping(JSON.stringify(file), defaults);
  if ('faults' in read) throw new Error(read.faults.join('\n'));
  return read.mapping;
}

describe('a mapping file', () => {
  test("leaves what it does not mention to the application's own names", () => {
    expect(mapping({}).tables).toEqual(slackchatMapping('public', 'slackchat_'));
    expect(mapping({}, { schema: 'chat', prefix: 'app_', appWebhooks: true }).tables).toEqual(slackchatMapping('chat', 'app_', true));
    expect(readMapping(null, DEFAULTS)).toEqual({ mapping: { tables: slackchatMapping('public', 'slackchat_'), chatTypeName: null } });
    const { tables } = mapping({ tables: { message: { columns: { text: 'body' } }, user: { table: 'People', schema: 'Other One' } } });
    expect(tables.get('message')).toEqual({
      ...slackchatMapping('public', 'slackchat_').get('message'),
      columns: { id: 'id', timestamp: 'timestamp', text: 'body', channel_id: 'channel_id', user_id: 'user_id', serialized: 'serialized' },
    });
    expect(tables.get('user')).toMatchObject({ schema: 'Other One', table: 'People', columns: { id: 'id', api_id: 'api_id' } });
    expect(tables.get('user')?.optional).toContain('api_id');
  });

  test('leaves out what is null, and what only that refers to', () => {
    const { tables } = mapping({ tables: { attachment: null, message: { columns: { serialized: null } }, reaction: { columns: { argument_id: null, timestamp: null } } } });
    expect([...tables.keys()]).toEqual(expect.arrayContaining(['message', 'reaction', 'kwarg', 'chatType', 'template']));
    expect(tables.has('attachment')).toBe(false);
    expect(tables.has('argument')).toBe(false);
    expect(tables.get('message')?.columns).not.toHaveProperty('serialized');
    expect(Object.keys(tables.get('reaction')?.columns ?? {})).toEqual(['id', 'reaction', 'message_id', 'user_id']);
    const bare = mapping({ chatTypeName: 'room', tables: { channel: { columns: { chat_type_id: null } }, reaction: null } });
    for (const gone of ['chatType', 'template', 'reaction', 'argument'] as const) expect(bare.tables.has(gone)).toBe(false);
    expect(bare.chatTypeName).toBe('room');
  });

  test('a reference to a table that is not there counts only where its column is named', () => {
    expect(mapping({ chatTypeName: 'x', tables: { chatType: null, channel: {} } }).tables.get('channel')?.columns).not.toHaveProperty('chat_type_id');
    expect(mapping({ tables: { chatType: null, channel: { columns: { chat_type_id: 'kind' } } } }).tables.get('channel')?.columns['chat_type_id']).toBe('kind');
    expect(mapping({ tables: { argument: null, reaction: { columns: { argument_id: 'label' } } } }).tables.get('reaction')?.columns['argument_id']).toBe('label');
  });

  test('an optional column whose name is taken by another one is left out', () => {
    const { tables } = mapping({ tables: { attachment: { columns: { title: 'text' } } } });
    expect(tables.get('attachment')?.columns).toMatchObject({ title: 'text' });
    expect(tables.get('attachment')?.columns).not.toHaveProperty('text');
  });
});

describe('its faults', () => {
  test('are all reported at once, each with its path, what was given and what is accepted', () => {
    expect(
      faults({
        table: {},
        chatTypeName: '',
        tables: {
          message: { columns: { txet: 'body', text: 5, id: null }, tabel: 'x' },
          posts: {},
          user: [],
          channel: null,
          reaction: { table: '', schema: 'slackchat_bridge' },
          kwarg: { table: 'slackchat_reaction', columns: 'all' },
          attachment: { table: 'slackchat_kwarg', columns: { title: 'a', text: 'a' } },
          argument: { table: 'é'.repeat(32) },
          template: { table: 'a$$b' },
        },
      }),
    ).toEqual([
      'tables.message.columns.id: given null; accepted: a name as the database has it, of 1 to 63 bytes, without $$',
      'tables.message.columns.text: given 5; accepted: a name as the database has it, of 1 to 63 bytes, without $$',
      'tables.message.columns.txet: unknown; accepted: id, timestamp, text, channel_id, user_id, serialized',
      'tables.message.tabel: unknown; accepted: schema, table, columns',
      'tables.reaction.schema: given "slackchat_bridge"; accepted: a schema of the application; slackchat_bridge is the bridge\'s own',
      expect.stringMatching(/^tables\.reaction\.table: given ""; accepted: a name/u),
      'tables.kwarg.columns: given "all"; accepted: an object of columns',
      'tables.user: given []; accepted: an object with schema, table and columns, or null where there is no such table',
      'tables.channel: given null; accepted: an object with schema, table and columns',
      expect.stringMatching(/^tables\.argument\.table: given "é+"; accepted: a name .* 63 bytes/u),
      expect.stringMatching(/^tables\.template\.table: given "a\$\$b"; accepted: a name/u),
      expect.stringMatching(/^tables\.posts: unknown; accepted: message, reaction, .*appWebhook$/u),
      'chatTypeName: given ""; accepted: a text that is not empty',
      'table: unknown; accepted: tables, chatTypeName',
      'tables.attachment.columns.text: "a" is mapped to title already; accepted: a column of its own',
      'tables.kwarg: public.slackchat_reaction is mapped for reaction already; accepted: a table of its own',
    ]);
  });

  test.each([
    [[], /^the file: given \[\]; accepted: an object with tables and chatTypeName$/u],
    ['null', /^the file: given null/u],
    [{ tables: { channel: { columns: { chat_type_id: null } } } }, /^chatTypeName: missing; accepted: the name that is sent/u],
    [{ tables: { chatType: null } }, /^chatTypeName: missing/u],
    [{ chatTypeName: 'x', tables: { chatType: null, template: {} } }, /^tables\.template: mapped, but there are no chat types .*; accepted: null$/u],
    [{ chatTypeName: 'x', tables: { chatType: {}, channel: { columns: { chat_type_id: null } } } }, /^tables\.chatType: mapped, but tables\.channel\.columns\.chat_type_id is null/u],
    [{ tables: { reaction: null, argument: {} } }, /^tables\.argument: mapped, but there are no reactions/u],
    [{ tables: { reaction: { columns: { argument_id: null } }, argument: {} } }, /^tables\.argument: mapped, but tables\.reaction\.columns\.argument_id is null/u],
    [{ tables: { message: { columns: { text: 'timestamp' } } } }, /^tables\.message\.columns\.timestamp: missing; accepted: a column, because "timestamp" is mapped to text$/u],
    [{ tables: { user: { table: 'slackchat_channel' } } }, /^tables\.channel: public\.slackchat_channel is mapped for user already/u],
    [{ tables: { message: { columns: { id: null } } } }, /^tables\.message\.columns\.id: given null/u],
  ])('%j is refused', (file, message) => {
    expect(faults(file)).toEqual([expect.stringMatching(message)]);
  });

  test('the application\'s table of webhooks is needed where it is mirrored, and only there', () => {
    expect(faults({ tables: { appWebhook: null } }, { ...DEFAULTS, appWebhooks: true })).toEqual([expect.stringMatching(/^tables\.appWebhook: given null.*APP_WEBHOOKS/u)]);
    expect(faults({ tables: { appWebhook: null } })).toEqual([]);
    expect(mapping({ tables: { appWebhook: { table: 'hooks' } } }).tables.has('appWebhook')).toBe(false);
    expect(mapping({ tables: { appWebhook: { table: 'hooks' } } }, { ...DEFAULTS, appWebhooks: true }).tables.get('appWebhook')?.table).toBe('hooks');
  });

  test('of syntax say where', () => {
    expect(faults('{\n  "tables": {,}\n}')).toEqual(['not JSON: line 2, column 14: , where a key in double quotes belongs']);
    expect(faults('')).toEqual(['not JSON: line 1, column 1: the end where a value belongs']);
    expect(faults('{"tables": {}} x')).toEqual(['not JSON: line 1, column 16: "x" is no JSON']);
    expect(faults('{"tables": {},\n}')).toEqual(['not JSON: line 2, column 1: } where a key in double quotes belongs']);
    expect(faults('{"tables": {"user": {}, "us\\u0065r": {}}}')).toEqual(['not JSON: line 1, column 25: the key "user" is given twice']);
    expect(faults("{'tables': {}}")).toEqual([expect.stringMatching(/^not JSON: line 1, column 2: "'tables'" is no JSON/u)]);
    expect(faults('['.repeat(100_000))).toEqual(['not JSON: line 1, column 101: nested too deeply']);
  });
});

test('what JSON.parse accepts is no fault of syntax, and what it does not accept is one', () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(3), (value, indent) => jsonFault(JSON.stringify(value, null, indent)) === null));
  const parses = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  const piece = fc.constantFrom('{', '}', '[', ']', ',', ':', ' ', '"a"', '"b\\n"', '"\\x"', '"\u0001"', '"\u2028\u007f"', '"', '1', '-0.5e+3', '01', '1.', 'true', 'nul', 'null', '\u00a0');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 7 }), (pieces) => {
      const text = pieces.join('');
      const fault = jsonFault(text);
      return fault?.includes('given twice') === true || (fault === null) === parses(text);
    }),
    { numRuns: 20_000 },
  );
});

describe('MAPPING_FILE', () => {
  const file = (text: string): string => {
    const folder = mkdtempSync(join(tmpdir(), 'mapping-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'mapping.json');
    writeFileSync(path, text);
    return path;
  };
  const env = { DATABASE_URL: 'postgres://me@localhost/chat', WEBHOOK_VERIFICATION_TOKEN: 't' };

  test('is read at start, with a byte order mark too', () => {
    const MAPPING_FILE = file('\uFEFF{"tables": {"message": {"table": "posts"}}, "chatTypeName": "x"}');
    for (const read of [databaseConfig, bridgeConfig]) {
      const { mapping: found } = read({ ...env, MAPPING_FILE, TABLE_PREFIX: 'my_' });
      expect(found.tables.get('message')?.table).toBe('posts');
      expect(found.tables.get('user')?.table).toBe('my_user');
      expect(found.chatTypeName).toBe('x');
    }
  });

  test('that is not there, or is at fault, is reported beside all other faults of the configuration', () => {
    expect(() => bridgeConfig({ ...env, MAPPING_FILE: '/nowhere/chat.json', SETTLE_MS: 'x' })).toThrow(
      /2 faults:\n {2}SETTLE_MS: given "x".*\n {2}MAPPING_FILE \(\/nowhere\/chat\.json\): the file cannot be read: ENOENT/u,
    );
    const path = file('{"tables": {"message": {"columns": {"text": 1}}, "x": {}}}');
    expect(() => databaseConfig({ ...env, MAPPING_FILE: path })).toThrow(/2 faults:\n {2}MAPPING_FILE \(.*\): tables\.message\.columns\.text: given 1;.*\n {2}MAPPING_FILE \(.*\): tables\.x: unknown/u);
  });
});
