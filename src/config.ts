import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { ConfigurationError } from './errors.js';
import { eachUrl, SESSION_ATTRIBUTES } from './hosts.js';
import { readMapping, type Read } from './mapping-file.js';
import type { ChatMapping } from './mapping.js';
import { MOST_SHARDS, parseShard, shardName } from './shard.js';

/** The environment as the process has it; every value is text. */
export type Environment = Readonly<Record<string, string | undefined>>;

const LONGEST_TIMER_MS = 2_147_483_647;

/** The message must not name the value: it can be a secret. */
const fail = (message: string) => ({ error: message });

function integer(minimum: number, maximum: number, standard: number) {
  const accepted = `a whole number from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d{1,15}$/u, fail(accepted))
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, fail(accepted))
    .default(standard);
}

function choice<const T extends readonly [string, ...string[]]>(values: T, standard: T[number]) {
  return z.enum(values, fail(`one of: ${values.join(', ')}`)).default(standard);
}

/** Slot and publication names go into commands that take no parameters, so they are kept simple. */
const name = (standard: string) =>
  z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,62}$/u, fail('1 to 63 lower-case letters, digits and underscores, not beginning with a digit'))
    .default(standard);

const cidrList = z
  .string()
  .default('')
  .transform((text) => text.split(',').map((part) => part.trim()).filter((part) => part !== ''))
  .refine((parts) => parts.every((part) => ipaddr.isValidCIDR(part) || ipaddr.isValid(part)), fail('addresses or CIDR ranges, separated by commas'));

function isPostgresUrl(text: string): boolean {
  return eachUrl(text).every((url) => URL.canParse(url) && /^postgres(ql)?:$/u.test(new URL(url).protocol));
}

function wantsStandby(text: string): boolean {
  const wanted = eachUrl(text).flatMap((url) => (URL.canParse(url) ? (new URL(url).searchParams.get('target_session_attrs') ?? []) : []));
  return wanted.some((one) => !SESSION_ATTRIBUTES.includes(one));
}

function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).format() !== '' && !/^[+-]/u.test(text);
  } catch {
    return false;
  }
}

const database = z.object({
  DATABASE_URL: z.string().refine(isPostgresUrl, fail('a URL like postgres://user:password@host:5432/database'))
    .refine((text) => !wantsStandby(text), fail(`target_session_attrs: one of: ${SESSION_ATTRIBUTES.join(', ')}; a standby cannot serve the bridge`)).optional()
    .describe('`postgres://user:password@host:port/database`, of several hosts (`one:5432,two:5432`) the one that takes writes; required, but libpq\'s `PG*` variables work in its place. `sslmode` has libpq\'s meaning: `disable`, `allow`, `prefer` (the default), `require`, `verify-ca`, `verify-full`, with `sslrootcert`, `sslcert`, `sslkey`'),
  SLOT_NAME: name('slackchat_bridge')
    .describe('replication slot; one for each bridge on a server'),
  PUBLICATION_NAME: name('slackchat_bridge')
    .describe('publication; one for each bridge in a database'),
  SOURCE_SCHEMA: z.string().min(1, fail('a schema name')).max(63, fail('a schema name of at most 63 bytes')).default('public')
    .describe('schema of the chat tables'),
  TABLE_PREFIX: z.string().max(40, fail('at most 40 characters')).default('slackchat_')
    .describe('prefix of the chat tables'),
  MAPPING_FILE: z.string().optional()
    .describe('a JSON file that says where the tables and columns of another chat are: [other-schemas.md](other-schemas.md)'),
  APP_WEBHOOKS: choice(['off', 'mirror'], 'off')
    .describe('`mirror`: rows of the application\'s own table `slackchat_webhook` are endpoints too ([delivery.md](delivery.md#the-applications-own-table)); for `setup` and `run` alike. The application must no longer post by itself: [take-over.md](take-over.md)'),
  SHARD: z
    .string()
    .refine((text) => parseShard(text) !== undefined, fail(`i/n, such as 1/3, 2/3 and 3/3 for the three instances that share the messages, n at most ${MOST_SHARDS}`))
    .transform((text) => parseShard(text) ?? null)
    .default(null)
    .describe('`i/n`: this is instance i of n that share the messages, each with a slot of its own; PostgreSQL 15 and newer: [shards.md](shards.md)'),
  LOG_LEVEL: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info')
    .describe('`debug` also shows what succeeded'),
});

const admin = {
  ADMIN_HOST: z.string().min(1, fail('an address or a host name')).default('127.0.0.1')
    .describe('where the admin port listens'),
  ADMIN_PORT: z
    .string()
    .regex(/^\d{0,5}$/u, fail('a port number; 0 picks a free one, empty turns the admin port off'))
    .transform((text) => (text === '' ? null : Number(text)))
    .refine((port) => port === null || port <= 65_535, fail('a port number from 0 to 65535, or empty'))
    .default(4747)
    .describe('health, metrics, status; 0 picks a free one, empty turns it off. On loopback a request\'s `Host` must be `localhost` or a loopback address'),
  ADMIN_TOKEN: z.string().min(1, fail('a text that is not empty')).optional()
    .describe('bearer token for all but `/healthz`, `/readyz` and the files of the status page, which asks for it; required when `ADMIN_HOST` is not loopback'),
};

const bridge = database.extend({
  WEBHOOK_VERIFICATION_TOKEN: z.string(fail('the token that receivers check; any text that is not empty')).min(1, fail('a text that is not empty'))
    .describe('sent as `token` to endpoints that have none of their own; only `run` needs it'),
  CHANNEL_REQUESTS: choice(['off', 'auto'], 'off')
    .describe('`auto`: changes of channel rows ask for update, republish and unpublish ([delivery.md](delivery.md#asked-for-by-a-person))'),
  MEDIA_URL: z.string().default('')
    .describe('the application\'s setting of that name, before the users\' pictures in `channel_data`; empty: `/`'),
  CHANNEL_ID_FORMAT: choice(['uuid', 'hex'], 'uuid')
    .describe('`hex` sends `channel` without hyphens, as the application does; only where channels\' keys are uuids'),
  SETTLE_MS: integer(0, 60_000, 250)
    .describe('how long a change of a message\'s children waits for the application\'s own UPDATE of the message; 0: not at all'),
  TIME_ZONE: z.string().refine(isTimeZone, fail('an IANA time zone name such as UTC or America/New_York')).default('UTC')
    .describe('IANA name of the zone in which timestamps are written'),
  REQUEST_TIMEOUT_MS: integer(100, 600_000, 10_000)
    .describe('for a whole request, connecting included'),
  RETRY_BASE_MS: integer(1, LONGEST_TIMER_MS, 1_000)
    .describe('the pause after a first failure; it doubles with each, up to a quarter more by chance'),
  RETRY_MAX_MS: integer(1, LONGEST_TIMER_MS, 600_000)
    .describe('the longest pause'),
  RETRY_MAX_AGE_MS: integer(0, 31_536_000_000, 259_200_000)
    .describe('a delivery that has failed for so long (three days) is dead'),
  EGRESS: choice(['private', 'public'], 'private')
    .describe('`public` refuses loopback and private networks'),
  EGRESS_ALLOW: cidrList
    .describe('addresses or CIDR ranges, separated by commas, that go before the rules'),
  EGRESS_DENY: cidrList
    .describe('the same to refuse; goes before `EGRESS_ALLOW`'),
  MAX_BUFFER_MB: integer(8, 65_536, 64)
    .describe('what is held in memory of transactions, notifications, requests under way and parked deliveries that were brought back ([operations.md](operations.md#sizing))'),
  MAX_PAYLOAD_MB: integer(1, 256, 8)
    .describe('a message whose payload is larger is sent to nobody: it is dead at once, with the reason ([delivery.md](delivery.md#what-is-too-large))'),
  ON_SLOT_LOST: choice(['resync', 'stop'], 'resync')
    .describe('`resync`: make a new slot and announce every channel to every endpoint; `stop`: end with status 1'),
  CANARY_INTERVAL_MS: integer(0, LONGEST_TIMER_MS, 10_000)
    .describe('after so long without a transaction the stream is asked whether it still shows what is committed, by a transaction of 136 bytes of WAL ([operations.md](operations.md#stalls)); 0: never'),
  SHUTDOWN_TIMEOUT_MS: integer(0, 600_000, 10_000)
    .describe('on SIGTERM: half of it to deliver what is in memory, the rest to store what is left'),
  ...admin,
});

const status = database.extend(admin);

/** Every setting, with its default and, for docs/configuration.md, its meaning. */
export const SETTINGS = bridge;

interface More {
  readonly environment: Environment;
  /** what SOURCE_SCHEMA, TABLE_PREFIX, APP_WEBHOOKS and MAPPING_FILE make of it together */
  readonly mapping: ChatMapping;
}

export type DatabaseConfig = Readonly<z.infer<typeof database>> & More;
export type BridgeConfig = Readonly<z.infer<typeof bridge>> & More;
/** What it takes to ask the database and a running bridge. */
export type StatusConfig = Readonly<z.infer<typeof status>> & More;

const SECRET = /TOKEN|SECRET|PASSWORD|_URL$/u;

/** @throws {ConfigurationError} naming every fault at once */
export function databaseConfig(environment: Environment): DatabaseConfig {
  const { value, faults } = check(database, environment);
  return finish(database, environment, mappingOf(value), [...faults, ...connectionFaults(environment), ...shardFaults(value)]);
}

/** @throws {ConfigurationError} naming every fault at once */
export function statusConfig(environment: Environment): StatusConfig {
  const { value, faults } = check(status, environment);
  return finish(status, environment, mappingOf(value), [...faults, ...connectionFaults(environment)]);
}

/** @throws {ConfigurationError} naming every fault at once */
export function bridgeConfig(environment: Environment): BridgeConfig {
  const { value, faults } = check(bridge, environment);
  const more = [...connectionFaults(environment), ...shardFaults(value)];
  const { ADMIN_HOST, ADMIN_PORT, ADMIN_TOKEN, MAX_BUFFER_MB, MAX_PAYLOAD_MB, RETRY_BASE_MS, RETRY_MAX_MS } = value;
  if (ADMIN_PORT !== null && ADMIN_HOST !== undefined && !isLoopback(ADMIN_HOST) && ADMIN_TOKEN === undefined) {
    more.push('ADMIN_TOKEN: missing; it is required because ADMIN_HOST is not a loopback address');
  }
  if (MAX_PAYLOAD_MB !== undefined && MAX_BUFFER_MB !== undefined && MAX_PAYLOAD_MB > MAX_BUFFER_MB) {
    more.push(`MAX_PAYLOAD_MB: given ${MAX_PAYLOAD_MB}; accepted: not more than MAX_BUFFER_MB (${MAX_BUFFER_MB})`);
  }
  if (RETRY_MAX_MS !== undefined && RETRY_BASE_MS !== undefined && RETRY_MAX_MS < RETRY_BASE_MS) {
    more.push(`RETRY_MAX_MS: given ${RETRY_MAX_MS}; accepted: not less than RETRY_BASE_MS (${RETRY_BASE_MS})`);
  }
  return finish(bridge, environment, mappingOf(value), [...faults, ...more]);
}

export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}

/** An empty variable is one that is not set, but for the one whose empty value means something. */
function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([key, given]) => given !== '' || key === 'ADMIN_PORT'));
}

/** Variable by variable, so that one fault does not hide those that concern several. */
function check<T extends z.ZodObject>(schema: T, environment: Environment): { value: Partial<z.infer<T>>; faults: string[] } {
  const set = withoutEmpty(environment);
  const faults: string[] = [];
  const value: Partial<z.infer<T>> = {};
  for (const [key, field] of Object.entries(schema.shape)) {
    const given = set[key];
    const result = z.safeParse(field, given);
    if (result.success) {
      const known: unknown = result.data;
      Object.assign(value, { [key]: known });
      continue;
    }
    const shown = given === undefined ? 'missing' : SECRET.test(key) ? 'given (hidden)' : `given ${JSON.stringify(given)}`;
    faults.push(`${key}: ${shown}; accepted: ${result.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  return { value, faults };
}

function connectionFaults(environment: Environment): string[] {
  const named = ['DATABASE_URL', 'PGHOST', 'PGDATABASE', 'PGSERVICE'].some((key) => (environment[key] ?? '') !== '');
  return named ? [] : ['DATABASE_URL: missing; accepted: a URL like postgres://user:password@host:5432/database, or the PG* variables'];
}

function shardFaults({ SHARD = null, SLOT_NAME = '', PUBLICATION_NAME = '' }: Partial<z.infer<typeof database>>): string[] {
  return Object.entries({ SLOT_NAME, PUBLICATION_NAME }).flatMap(([key, base]) => {
    const length = shardName(base, SHARD && { index: SHARD.count, count: SHARD.count }).length;
    return length <= 63 ? [] : [`${key}: given ${JSON.stringify(base)}; accepted: ${63 - (length - base.length)} characters at the most, because SHARD adds to it`];
  });
}

function mappingOf({ MAPPING_FILE, SOURCE_SCHEMA = 'public', TABLE_PREFIX = 'slackchat_', APP_WEBHOOKS = 'off' }: Partial<z.infer<typeof database>>): Read {
  return readMapping(MAPPING_FILE ?? null, { schema: SOURCE_SCHEMA, prefix: TABLE_PREFIX, appWebhooks: APP_WEBHOOKS === 'mirror' });
}

function finish<T extends z.ZodObject>(schema: T, environment: Environment, mapping: Read, faults: readonly string[]): Readonly<z.infer<T>> & More {
  if (faults.length > 0 || 'faults' in mapping) {
    const all = [...faults, ...('faults' in mapping ? mapping.faults.map((fault) => `MAPPING_FILE (${environment['MAPPING_FILE'] ?? ''}): ${fault}`) : [])];
    throw new ConfigurationError(`the configuration has ${all.length === 1 ? 'a fault' : `${all.length} faults`}:\n  ${all.join('\n  ')}`);
  }
  const config = { ...schema.parse(withoutEmpty(environment)), environment, mapping: mapping.mapping };
  Object.freeze(config);
  return config;
}
