import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bridgeConfig, databaseConfig, isLoopback, type Environment } from '../../src/config.js';
import { ConfigurationError } from '../../src/errors.js';

const NEEDED = { DATABASE_URL: 'postgres://bridge@localhost/chat', WEBHOOK_VERIFICATION_TOKEN: 'a token' };

function faultsOf(environment: Environment, read: (environment: Environment) => unknown = bridgeConfig): string {
  try {
    read(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('the configuration was accepted');
}

test('what is not set has the value that the contract names', () => {
  expect(bridgeConfig(NEEDED)).toMatchObject({
    SLOT_NAME: 'slackchat_bridge',
    PUBLICATION_NAME: 'slackchat_bridge',
    SOURCE_SCHEMA: 'public',
    TABLE_PREFIX: 'slackchat_',
    CHANNEL_ID_FORMAT: 'uuid',
    SETTLE_MS: 250,
    TIME_ZONE: 'UTC',
    REQUEST_TIMEOUT_MS: 10_000,
    RETRY_BASE_MS: 1_000,
    RETRY_MAX_MS: 600_000,
    RETRY_MAX_AGE_MS: 259_200_000,
    EGRESS: 'private',
    EGRESS_ALLOW: [],
    EGRESS_DENY: [],
    MAX_BUFFER_MB: 64,
    MAX_PAYLOAD_MB: 8,
    ON_SLOT_LOST: 'resync',
    SHUTDOWN_TIMEOUT_MS: 10_000,
    ADMIN_HOST: '127.0.0.1',
    ADMIN_PORT: 4747,
    LOG_LEVEL: 'info',
  });
});

test('what is set is taken over, and cannot be changed afterwards', () => {
  const config = bridgeConfig({
    ...NEEDED,
    SETTLE_MS: '0',
    TIME_ZONE: 'America/New_York',
    ADMIN_PORT: '0',
    EGRESS_ALLOW: ' 10.0.0.0/8, ::1 ,',
    CHANNEL_ID_FORMAT: 'hex',
    SLOT_NAME: 'other_1',
  });
  expect(config).toMatchObject({
    SETTLE_MS: 0,
    TIME_ZONE: 'America/New_York',
    ADMIN_PORT: 0,
    EGRESS_ALLOW: ['10.0.0.0/8', '::1'],
    CHANNEL_ID_FORMAT: 'hex',
    SLOT_NAME: 'other_1',
  });
  expect(Object.isFrozen(config)).toBe(true);
});

test('the environment itself goes along, for the variables that the driver reads', () => {
  expect(databaseConfig({ PGHOST: '/run/postgresql', PGUSER: 'me' }).environment).toMatchObject({ PGHOST: '/run/postgresql', PGUSER: 'me' });
});

describe('a database', () => {
  test('is named by DATABASE_URL or by a PG variable', () => {
    for (const environment of [{ DATABASE_URL: 'postgresql:///chat' }, { PGHOST: 'db' }, { PGDATABASE: 'chat' }, { PGSERVICE: 'chat' }]) {
      expect(() => databaseConfig(environment)).not.toThrow();
    }
    expect(faultsOf({}, databaseConfig)).toContain('DATABASE_URL: missing');
    expect(faultsOf({ DATABASE_URL: '', PGHOST: '' }, databaseConfig)).toContain('DATABASE_URL: missing');
  });

  test.each(['mysql://host/db', 'localhost:5432', 'host=localhost', 'http://localhost'])('is not named by %j', (url) => {
    expect(faultsOf({ DATABASE_URL: url }, databaseConfig)).toContain('DATABASE_URL');
  });

  test('is enough for the commands that do not send anything', () => {
    expect(() => databaseConfig({ DATABASE_URL: NEEDED.DATABASE_URL })).not.toThrow();
    expect(faultsOf({ DATABASE_URL: NEEDED.DATABASE_URL })).toContain('WEBHOOK_VERIFICATION_TOKEN: missing');
  });
});

test('every fault is named at once, with what was given and what is accepted', () => {
  const message = faultsOf({
    SETTLE_MS: '-1',
    RETRY_BASE_MS: '1.5',
    MAX_BUFFER_MB: '1',
    EGRESS: 'none',
    EGRESS_DENY: '10.0.0.0/33',
    TIME_ZONE: 'Nowhere/Land',
    ADMIN_PORT: '65536',
    SLOT_NAME: 'Not-A-Slot',
    CHANNEL_ID_FORMAT: 'short',
    ON_SLOT_LOST: 'panic',
    LOG_LEVEL: 'loud',
  });
  expect(message).toContain('13 faults');
  for (const fault of [
    'DATABASE_URL: missing',
    'WEBHOOK_VERIFICATION_TOKEN: missing',
    'SETTLE_MS: given "-1"',
    'RETRY_BASE_MS: given "1.5"',
    'MAX_BUFFER_MB: given "1"',
    'EGRESS: given "none"',
    'EGRESS_DENY: given "10.0.0.0/33"',
    'TIME_ZONE: given "Nowhere/Land"',
    'ADMIN_PORT: given "65536"',
    'SLOT_NAME: given "Not-A-Slot"',
    'CHANNEL_ID_FORMAT: given "short"',
    'ON_SLOT_LOST: given "panic"',
    'LOG_LEVEL: given "loud"',
  ])
    expect(message).toContain(fault);
  expect(message).toContain('a whole number from 0 to 60000');
  expect(message).toContain('one of: private, public');
  expect(message).toContain('one of: resync, stop');
});

test('faults that concern two variables are named beside those of one', () => {
  const message = faultsOf({ ...NEEDED, SETTLE_MS: 'soon', ADMIN_HOST: '0.0.0.0', RETRY_BASE_MS: '5000', RETRY_MAX_MS: '100' });
  expect(message).toContain('SETTLE_MS');
  expect(message).toContain('ADMIN_TOKEN');
  expect(message).toContain('RETRY_MAX_MS');
});

test.each([
  ['SETTLE_MS', ['0', '60000'], ['60001', '', 'x', '1e3', ' 5', '0x10', '-0']],
  ['MAX_BUFFER_MB', ['8', '65536'], ['7', '65537']],
  ['ADMIN_PORT', ['0', '1', '65535', ''], ['65536', '-1', '99999', 'http', '123456']],
  ['TIME_ZONE', ['UTC', 'Europe/Berlin', 'Asia/Kolkata'], ['+02:00', 'Mars', '-05']],
  ['SLOT_NAME', ['a', '_a1', 'a'.repeat(63)], ['A', '1a', 'a-b', 'a'.repeat(64), 'a;b', 'a b']],
  ['EGRESS_ALLOW', ['10.0.0.0/8', 'fd00::/8,10.1.2.3', ','], ['10.0.0.0/x', 'localhost', '10.0.0.0/8;::1']],
  ['RETRY_MAX_AGE_MS', ['0', '31536000000'], ['31536000001']],
])('%s', (name, accepted, refused) => {
  for (const value of accepted) expect(() => bridgeConfig({ ...NEEDED, [name]: value }), value).not.toThrow();
  for (const value of refused.filter((text) => text !== ''))
    expect(faultsOf({ ...NEEDED, [name]: value })).toContain(`${name}: given ${JSON.stringify(value)}`);
});

test('an empty variable counts as one that is not set, but for ADMIN_PORT, which it turns off', () => {
  const names = [
    'SLOT_NAME',
    'SETTLE_MS',
    'TIME_ZONE',
    'EGRESS',
    'EGRESS_ALLOW',
    'ADMIN_HOST',
    'ADMIN_TOKEN',
    'LOG_LEVEL',
    'TABLE_PREFIX',
    'SOURCE_SCHEMA',
    'MAX_BUFFER_MB',
  ];
  const { environment: _, ...defaults } = bridgeConfig(NEEDED);
  expect(bridgeConfig({ ...NEEDED, ...Object.fromEntries(names.map((name) => [name, ''])) })).toMatchObject(defaults);
  expect(bridgeConfig({ ...NEEDED, ADMIN_PORT: '' }).ADMIN_PORT).toBe(null);
  expect(faultsOf({ ...NEEDED, WEBHOOK_VERIFICATION_TOKEN: '' })).toContain('WEBHOOK_VERIFICATION_TOKEN: missing');
});

describe('the admin port', () => {
  test.each(['127.0.0.1', '127.8.9.10', '::1', 'localhost', '::ffff:127.0.0.1'])('on %s needs no token', (host) => {
    expect(isLoopback(host)).toBe(true);
    expect(bridgeConfig({ ...NEEDED, ADMIN_HOST: host }).ADMIN_HOST).toBe(host);
  });

  test.each(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'example.org', 'localhost.example.org', '::ffff:10.0.0.1'])('on %s needs one', (host) => {
    expect(isLoopback(host)).toBe(false);
    expect(faultsOf({ ...NEEDED, ADMIN_HOST: host })).toContain('ADMIN_TOKEN: missing');
    expect(faultsOf({ ...NEEDED, ADMIN_HOST: host, ADMIN_TOKEN: '' })).toContain('ADMIN_TOKEN: missing');
    expect(bridgeConfig({ ...NEEDED, ADMIN_HOST: host, ADMIN_TOKEN: 'secret' }).ADMIN_TOKEN).toBe('secret');
  });

  test('that is turned off needs no token on any host', () => {
    expect(bridgeConfig({ ...NEEDED, ADMIN_HOST: '0.0.0.0', ADMIN_PORT: '' }).ADMIN_TOKEN).toBe(undefined);
  });
});

test('backoff cannot end below where it begins', () => {
  expect(faultsOf({ ...NEEDED, RETRY_BASE_MS: '2000', RETRY_MAX_MS: '1999' })).toContain('RETRY_MAX_MS: given 1999');
  expect(() => bridgeConfig({ ...NEEDED, RETRY_BASE_MS: '2000', RETRY_MAX_MS: '2000' })).not.toThrow();
});

test('no fault ever names the value of a token, a password or the database URL', () => {
  const secret = fc.stringMatching(/^[a-z0-9]{12}$/u).map((text) => `s3cret-${text}`);
  const wrong = fc.constantFrom('-1', 'x', '', '10.0.0.0/99', '0.0.0.0', 'Mars');
  const secrets = fc.record(
    {
      // each of them in a form that is right and in one that is not
      DATABASE_URL: fc
        .tuple(fc.constantFrom('postgres://u:%@h/d', 'mysql://u:%@h/d', '%', 'http://%', 'postgres://%@'), secret)
        .map(([form, text]) => [form.replace('%', text), text] as const),
      WEBHOOK_VERIFICATION_TOKEN: secret.map((text) => [text, text] as const),
      ADMIN_TOKEN: secret.map((text) => [text, text] as const),
      PGPASSWORD: secret.map((text) => [text, text] as const),
    },
    { requiredKeys: [] },
  );
  const others = fc.dictionary(
    fc.constantFrom('SETTLE_MS', 'SLOT_NAME', 'EGRESS', 'EGRESS_DENY', 'ADMIN_HOST', 'ADMIN_PORT', 'TIME_ZONE', 'RETRY_MAX_MS', 'MAPPING_FILE', 'SHARD'),
    wrong,
    { minKeys: 1 },
  );
  let refused = 0;
  fc.assert(
    fc.property(secrets, others, fc.boolean(), (given, rest, whole) => {
      const environment = { ...rest, ...Object.fromEntries(Object.entries(given).map(([key, [value]]) => [key, value])) };
      try {
        (whole ? bridgeConfig : databaseConfig)(environment);
      } catch (error) {
        refused += 1;
        const shown = error instanceof Error ? `${error.message}${error.stack ?? ''}${JSON.stringify(error)}` : '';
        for (const [, text] of Object.values(given)) expect(shown).not.toContain(text);
      }
    }),
    { numRuns: 500 },
  );
  expect(refused).toBeGreaterThan(100);
});

test('SHARD is i/n, and its names have to fit beside its suffix', () => {
  expect(bridgeConfig(NEEDED).SHARD).toBeNull();
  expect(bridgeConfig({ ...NEEDED, SHARD: '2/3' }).SHARD).toEqual({ index: 2, count: 3 });
  expect(databaseConfig({ ...NEEDED, SHARD: '1/1' }).SHARD).toBeNull();
  expect(faultsOf({ ...NEEDED, SHARD: '4/3' })).toMatch(/SHARD: given "4\/3"; accepted: i\/n, such as 1\/3/u);
  const longest = 'a'.repeat(63 - '_10_of_12'.length);
  expect(() => bridgeConfig({ ...NEEDED, SHARD: '1/12', SLOT_NAME: `${longest}bb` })).toThrow(/SLOT_NAME.*54 characters/u);
  expect(() => bridgeConfig({ ...NEEDED, SHARD: '1/12', SLOT_NAME: longest, PUBLICATION_NAME: longest })).not.toThrow();
});

test('a payload cannot be larger than what may be in memory', () => {
  expect(faultsOf({ ...NEEDED, MAX_PAYLOAD_MB: '65' })).toContain('MAX_PAYLOAD_MB: given 65; accepted: not more than MAX_BUFFER_MB (64)');
  expect(() => bridgeConfig({ ...NEEDED, MAX_PAYLOAD_MB: '65', MAX_BUFFER_MB: '65' })).not.toThrow();
  expect(() => bridgeConfig({ ...NEEDED, MAX_BUFFER_MB: '8' })).not.toThrow();
});
