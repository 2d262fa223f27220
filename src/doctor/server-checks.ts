import { allOf, countOf } from '../setup/names.js';
import { failure, megabytes, ok, someOf, unseen, warning, type Check } from './check.js';
import { logicalWal, setting } from './platform.js';
import type { Survey } from './survey.js';

const OLDEST = 14;
const NEWEST_TESTED = 18;
const CLOCK_TOLERANCE_MS = 2_000;

export interface Connection {
  readonly host: string;
  readonly port: number;
  /** a socket file, or an address of this machine */
  readonly local: boolean;
  readonly certificateChecked: boolean;
}

/** The server itself: its version, its settings, the way there. */
export function serverChecks(survey: Survey, connection: Connection): readonly Check[] {
  return [
    ...about(survey, connection),
    walLevel(survey),
    replicationSlots(survey),
    walsenders(survey),
    senderTimeout(survey),
    synchronousStandbys(survey),
    ...copiesWaitedFor(survey),
    synchronousCommit(survey),
    keepSize(survey),
  ];
}

function about({ server }: Survey, connection: Connection): readonly Check[] {
  if (!server.known) return [unseen('server', server.why, null)];
  const { version, inRecovery } = server.value;
  const major = Number.parseInt(version, 10);
  return [
    major < OLDEST
      ? failure('version', `PostgreSQL ${version}; ${OLDEST} or newer is needed`, 'upgrade the server')
      : major > NEWEST_TESTED
        ? warning('version', `PostgreSQL ${version}; this version of the bridge was tested with ${OLDEST} to ${NEWEST_TESTED}`, 'look for a newer version of the bridge')
        : ok('version', `PostgreSQL ${version}`),
    inRecovery
      ? failure('primary', 'this server is a standby: nothing can be written here', 'set DATABASE_URL to the primary')
      : ok('primary', 'the server takes writes'),
    tls(server.value.tls, connection),
    clock(server.value.clockAheadMs, server.value.roundTripMs),
  ];
}

function tls(version: string | null, { local, certificateChecked, host }: Connection): Check {
  if (version === null) {
    return local
      ? ok('tls', 'not encrypted; the server is on this machine')
      : warning('tls', `not encrypted, and ${host} is another machine: passwords and messages can be read on the way`, 'turn TLS on in the server and add ?sslmode=verify-full to DATABASE_URL');
  }
  return certificateChecked || local
    ? ok('tls', `${version}${certificateChecked ? ', the server\'s certificate is checked' : ''}`)
    : warning('tls', `${version}, but the server's certificate is not checked: anyone on the way can pass for it`, 'add ?sslmode=verify-full (and sslrootcert=<file> for an authority of your own) to DATABASE_URL');
}

function clock(aheadMs: number, roundTripMs: number): Check {
  const off = Math.abs(aheadMs);
  const detail = `this machine is ${(off / 1000).toFixed(off < 10_000 ? 3 : 0)} s ${aheadMs < 0 ? 'behind' : 'ahead of'} the server`;
  if (off <= CLOCK_TOLERANCE_MS + roundTripMs) return ok('clock', detail);
  return warning('clock', `${detail}: latencies are wrong by that, and receivers refuse signatures that are more than five minutes off`, 'let both machines keep time by NTP');
}

function walLevel({ settings, platform }: Survey): Check {
  if (!settings.known) return unseen('wal_level', settings.why, null);
  const level = settings.value.get('wal_level') ?? 'unknown';
  return level === 'logical' ? ok('wal_level', 'logical') : failure('wal_level', `${level}; logical replication needs logical`, logicalWal(platform));
}

function replicationSlots({ names, settings, replication, platform }: Survey): Check {
  const name = 'max_replication_slots';
  if (!settings.known || !replication.known) return unseen(name, 'the slots cannot be counted', null);
  const most = Number(settings.value.get(name));
  const { slots, idleSlots, activeSlots } = replication.value;
  const detail = `${slots} of ${most} in use`;
  const there = new Set([...idleSlots, ...activeSlots]);
  const missing = ownSlots(names).filter((slot) => !there.has(slot)).length;
  if (missing <= most - slots) return ok(name, detail);
  const drop = idleSlots[0] === undefined ? '' : `; or drop one that nobody uses (not active: ${someOf(idleSlots)}): SELECT pg_drop_replication_slot('…');`;
  return failure(name, `${detail}: ${short(missing, most - slots)}`, `${setting(platform, name, String(slots + missing + 4), true)}${drop}`);
}

/** Of all that share the messages. */
function ownSlots(names: Survey['names']): readonly string[] {
  return allOf(names, countOf(names)).map(({ slot }) => slot);
}

function short(needed: number, left: number): string {
  return needed === 1 ? 'there is none left for the bridge' : `the bridge needs ${needed} more, and ${left <= 0 ? 'none is' : left === 1 ? 'one is' : `${left} are`} left`;
}

function walsenders({ names, settings, replication, platform }: Survey): Check {
  const name = 'max_wal_senders';
  if (!settings.known || !replication.known) return unseen(name, 'the walsenders cannot be counted', null);
  const most = Number(settings.value.get(name));
  const { walsenders: used, activeSlots } = replication.value;
  const detail = `${used} of ${most} in use`;
  const missing = ownSlots(names).filter((slot) => !activeSlots.includes(slot)).length;
  if (missing <= most - used) return ok(name, detail);
  return failure(name, `${detail}: ${short(missing, most - used)}`, setting(platform, name, String(used + missing + 4), true));
}

function senderTimeout({ settings, platform }: Survey): Check {
  const name = 'wal_sender_timeout';
  if (!settings.known) return unseen(name, settings.why, null);
  const ms = Number(settings.value.get(name));
  if (ms === 0) {
    return warning(name, 'off: when the bridge\'s machine vanishes, the server keeps its slot for a dead connection, and no other instance can take over', setting(platform, name, '60s', false));
  }
  if (ms < 1_000) return warning(name, `${ms} ms: a busy moment of the bridge is enough for the server to break the stream`, setting(platform, name, '60s', false));
  return ms > 300_000
    ? warning(name, `${ms / 1000} s: for so long no other instance can take over after the bridge's machine vanished`, setting(platform, name, '60s', false))
    : ok(name, `${ms / 1000} s`);
}

function synchronousStandbys({ settings, replication, platform }: Survey): Check {
  const name = 'synchronous_standby_names';
  if (!settings.known) return unseen(name, settings.why, null);
  const names = settings.value.get(name) ?? '';
  if (names === '') return ok(name, 'none: a commit is told as soon as it is visible');
  const synchronous = replication.known ? replication.value.synchronous : null;
  const detail = `${names}: a commit is told only when the standby has it`;
  if (synchronous === null) return ok(name, `${detail}; whether one is connected shows only with pg_monitor`);
  return synchronous > 0
    ? ok(name, `${detail}; ${synchronous} connected`)
    : warning(name, `${detail}, and none is connected: commits hang, and so do notifications`, `start the standby, or ${setting(platform, name, '', false)}`);
}

/** Standbys that must have a change before it is streamed; one that is away stops the stream. */
function copiesWaitedFor({ settings, replication, platform }: Survey): readonly Check[] {
  const name = 'synchronized_standby_slots';
  const list = settings.known ? (settings.value.get(name) ?? '') : '';
  if (list === '') return [];
  if (!replication.known) return [unseen(name, replication.why, null)];
  const { activeSlots } = replication.value;
  const away = list.split(',').map((slot) => slot.trim().replace(/^"(.*)"$/u, '$1')).filter((slot) => !activeSlots.includes(slot));
  if (away.length === 0) return [ok(name, `${list}: a change is streamed to the bridge once these standbys have it, and all of them follow`)];
  return [failure(name, `no standby uses ${someOf(away)}: until one does, nothing is streamed to the bridge`, `start the standby, or ${setting(platform, name, '', false)}`)];
}

function synchronousCommit({ settings, asynchronous, platform }: Survey): Check {
  const name = 'synchronous_commit';
  if (!settings.known) return unseen(name, settings.why, null);
  const off = settings.value.get(name) === 'off';
  const others = asynchronous.known ? asynchronous.value : [];
  if (!off && others.length === 0) return ok(name, settings.value.get(name) ?? '');
  const delay = 2 * Number(settings.value.get('wal_writer_delay') ?? 200);
  const fix = off ? setting(platform, name, 'on', false) : others.map(({ reset }) => reset).join(' ');
  return warning(name, `off for ${off ? 'the server' : someOf(others.map(({ whose }) => whose))}: what is written so is told up to ${delay} ms later, and a crash of the server can take it back after it was told`, fix);
}

function keepSize({ settings, platform }: Survey): Check {
  const name = 'max_slot_wal_keep_size';
  if (!settings.known) return unseen(name, settings.why, null);
  const limit = Number(settings.value.get(name));
  const idle = Number(settings.value.get('idle_replication_slot_timeout') ?? 0);
  if (idle > 0) {
    return warning('idle_replication_slot_timeout', `${idle}: a bridge that is stopped for longer loses its slot, and every channel is announced again`, setting(platform, 'idle_replication_slot_timeout', '0', false));
  }
  return limit === -1
    ? warning(name, 'without a limit: while no bridge runs, its slot keeps WAL until the disk is full', setting(platform, name, '10GB', false))
    : ok(name, `the slot keeps up to ${megabytes(limit * 1024 * 1024)} of WAL while no bridge runs`);
}
