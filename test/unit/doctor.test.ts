import { expect, test } from 'vitest';
import type { Check } from '../../src/doctor/check.js';
import { logicalWal, platformOf, replicationGrant, setting, type Marks, type Platform } from '../../src/doctor/platform.js';
import { serverChecks, type Connection } from '../../src/doctor/server-checks.js';
import type { Replication, Server, Survey } from '../../src/doctor/survey.js';
import { namesWith } from '../../src/setup/names.js';
import type { Shard } from '../../src/shard.js';

const NO_MARKS: Marks = { roles: [], settings: [], aurora: false };

test.each<[Platform, Partial<Marks>]>([
  ['self-managed', {}],
  ['Amazon Aurora', { aurora: true, roles: ['rds_superuser'] }],
  ['Amazon RDS', { roles: ['rds_superuser'] }],
  ['Google Cloud SQL', { settings: ['cloudsql.logical_decoding'] }],
  ['Azure Database', { roles: ['azure_pg_admin'] }],
  ['Supabase', { roles: ['supabase_admin'] }],
  ['Neon', { roles: ['neon_superuser'] }],
  ['CloudNativePG', { settings: ['cnpg.config_sha256'] }],
])('%s is told by its marks', (platform, marks) => {
  expect(platformOf({ ...NO_MARKS, ...marks })).toBe(platform);
});

test('each service has its own way to logical WAL, to another setting and to replication', () => {
  expect(logicalWal('Amazon RDS')).toContain('rds.logical_replication = 1');
  expect(logicalWal('Google Cloud SQL')).toContain('cloudsql.logical_decoding = on');
  expect(logicalWal('self-managed')).toContain("ALTER SYSTEM SET wal_level = 'logical'");
  expect(setting('CloudNativePG', 'max_wal_senders', '20', true)).toContain('spec.postgresql.parameters.max_wal_senders: "20"');
  expect(replicationGrant('Amazon RDS', 'bridge')).toContain('GRANT rds_replication TO "bridge"');
  expect(replicationGrant('self-managed', 'a"b')).toContain('ALTER ROLE "a""b" REPLICATION');
});

const SERVER: Server = { version: '18.4', role: 'bridge', inRecovery: false, mayCreate: true, tls: 'TLSv1.3', clockAheadMs: 0, roundTripMs: 1 };
const REPLICATION: Replication = { slots: 1, walsenders: 1, idleSlots: [], activeSlots: [], standbys: 0, synchronous: 0 };
const SETTINGS = { wal_level: 'logical', max_replication_slots: '10', max_wal_senders: '10', wal_sender_timeout: '60000', synchronous_standby_names: '', synchronous_commit: 'on', max_slot_wal_keep_size: '1024' };
const REMOTE: Connection = { host: 'db.example', port: 5432, local: false, certificateChecked: true };

interface Changes {
  readonly server?: Partial<Server>;
  readonly settings?: Partial<Record<string, string>>;
  readonly replication?: Partial<Replication>;
  readonly connection?: Partial<Connection>;
  readonly shard?: Shard;
}

function check(name: string, changes: Changes): Check | undefined {
  const unknown = { known: false, why: 'permission denied' } as const;
  const settings = new Map(Object.entries({ ...SETTINGS, ...changes.settings }).map(([key, value]) => [key, value ?? '']));
  const survey: Survey = {
    names: namesWith({ slot: 's', publication: 'p' }, [], changes.shard ?? null),
    platform: 'self-managed',
    server: { known: true, value: { ...SERVER, ...changes.server } },
    settings: { known: true, value: settings },
    asynchronous: { known: true, value: [] },
    replication: { known: true, value: { ...REPLICATION, ...changes.replication } },
    own: unknown, state: unknown, slot: unknown, published: unknown, access: unknown, refusedFunctions: unknown, endpoints: unknown, parked: unknown, appWebhooks: unknown, templates: unknown,
  };
  return serverChecks(survey, { ...REMOTE, ...changes.connection }).find((one) => one.name === name);
}

test.each<[string, Changes, string]>([
  ['version', {}, 'ok'],
  ['version', { server: { version: '13.9' } }, 'failure'],
  ['version', { server: { version: '19beta1' } }, 'warning'],
  ['primary', {}, 'ok'],
  ['primary', { server: { inRecovery: true } }, 'failure'],
  ['tls', {}, 'ok'],
  ['tls', { server: { tls: null } }, 'warning'],
  ['tls', { server: { tls: null }, connection: { local: true } }, 'ok'],
  ['tls', { connection: { certificateChecked: false } }, 'warning'],
  ['clock', { server: { clockAheadMs: -1_900 } }, 'ok'],
  ['clock', { server: { clockAheadMs: -2_100 } }, 'warning'],
  ['clock', { server: { clockAheadMs: 2_500, roundTripMs: 800 } }, 'ok'],
  ['max_wal_senders', { replication: { walsenders: 9 } }, 'ok'],
  ['max_wal_senders', { replication: { walsenders: 10 } }, 'failure'],
  ['max_wal_senders', { replication: { walsenders: 10, activeSlots: ['s'] } }, 'ok'],
  ['max_replication_slots', { replication: { slots: 9 } }, 'ok'],
  ['max_replication_slots', { replication: { slots: 10 } }, 'failure'],
  ['max_replication_slots', { replication: { slots: 10, idleSlots: ['s'] } }, 'ok'],
  // One for each of those that share the messages.
  ['max_replication_slots', { shard: { index: 2, count: 3 }, replication: { slots: 7 } }, 'ok'],
  ['max_replication_slots', { shard: { index: 2, count: 3 }, replication: { slots: 8 } }, 'failure'],
  ['max_replication_slots', { shard: { index: 2, count: 3 }, replication: { slots: 9, idleSlots: ['s_1_of_3'], activeSlots: ['s_2_of_3'] } }, 'ok'],
  ['max_replication_slots', { shard: { index: 2, count: 3 }, replication: { slots: 9, activeSlots: ['s_2_of_3'] } }, 'failure'],
  ['max_wal_senders', { shard: { index: 2, count: 3 }, replication: { walsenders: 7 } }, 'ok'],
  ['max_wal_senders', { shard: { index: 2, count: 3 }, replication: { walsenders: 8 } }, 'failure'],
  ['max_wal_senders', { shard: { index: 2, count: 3 }, replication: { walsenders: 9, activeSlots: ['s_1_of_3', 's_3_of_3'] } }, 'ok'],
  ['wal_sender_timeout', { settings: { wal_sender_timeout: '500' } }, 'warning'],
  ['wal_sender_timeout', { settings: { wal_sender_timeout: '3600000' } }, 'warning'],
  ['synchronous_standby_names', { settings: { synchronous_standby_names: 'a' }, replication: { synchronous: 1 } }, 'ok'],
  ['synchronous_standby_names', { settings: { synchronous_standby_names: 'a' } }, 'warning'],
  // Without pg_monitor it is not known, so nothing is claimed.
  ['synchronous_standby_names', { settings: { synchronous_standby_names: 'a' }, replication: { synchronous: null } }, 'ok'],
  ['synchronized_standby_slots', { settings: { synchronized_standby_slots: 'a, "b"' }, replication: { activeSlots: ['b', 'a'] } }, 'ok'],
  ['synchronized_standby_slots', { settings: { synchronized_standby_slots: 'a,b' }, replication: { activeSlots: ['a'] } }, 'failure'],
  ['idle_replication_slot_timeout', { settings: { idle_replication_slot_timeout: '3600' } }, 'warning'],
  ['max_slot_wal_keep_size', { settings: { max_slot_wal_keep_size: '-1' } }, 'warning'],
  ['max_slot_wal_keep_size', {}, 'ok'],
])('%s of %j: %s', (name, changes, status) => {
  const found = check(name, changes);
  expect(found?.status).toBe(status);
  expect(found?.fix === null).toBe(status === 'ok');
});
