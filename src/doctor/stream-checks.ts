import { mappingFaults } from '../catalog.js';
import { PreconditionError } from '../errors.js';
import { qualifiedName, quoteIdent, tableName, type TableMapping } from '../mapping.js';
import { identityIsSufficient, type DatabaseState } from '../setup/inspect.js';
import type { Names } from '../setup/names.js';
import { planSetup } from '../setup/plan.js';
import { isSameFilter, rowFilter } from '../setup/row-filter.js';
import { slotWasMade, type Step } from '../setup/statements.js';
import { failure, megabytes, ok, someOf, unseen, warning, type Check } from './check.js';
import { roleOf } from './access-checks.js';
import { setting } from './platform.js';
import { shardChecks } from './shard-checks.js';
import type { Survey } from './survey.js';

const SETUP = 'slackchat-bridge setup';
/** What a bridge that keeps up never leaves behind. */
const LAG_LIMIT = 256 * 1024 * 1024;

type Wanted = Pick<TableMapping, 'schema' | 'table' | 'columns' | 'optional'> & { readonly name: string; readonly wantedFilter: string | null };
const OWN_WEBHOOKS: Wanted = { schema: 'slackchat_bridge', table: 'webhooks', name: 'slackchat_bridge.webhooks', columns: {}, optional: [], wantedFilter: null };

/** What setup makes, and whether the slot is well. */
export function streamChecks(survey: Survey): readonly Check[] {
  const { state } = survey;
  if (!state.known) return [unseen('setup', state.why, null)];
  return [tables(survey, state.value), ownSchema(survey, state.value), ...shardChecks(survey, state.value), ...publication(survey, state.value), identities(survey, state.value), ...slot(survey, state.value)];
}

function tables({ names }: Survey, state: DatabaseState): Check {
  const faults = mappingFaults(names.tables, state.catalog);
  if (faults.length === 0) return ok('chat_tables', `all ${names.tables.length} are there`);
  return failure('chat_tables', `in database "${state.database}": ${someOf(faults, 12)}`, 'set DATABASE_URL, SOURCE_SCHEMA, TABLE_PREFIX or MAPPING_FILE to where the application\'s tables are, or run the application\'s migrations');
}

function ownSchema(survey: Survey, state: DatabaseState): Check {
  const name = 'schema';
  const { own, server } = survey;
  if (!own.known) return failure(name, `slackchat_bridge cannot be looked into: ${own.why}`, `${SETUP} --grant ${roleOf(survey)}  # as the owner of the schema`);
  const known = Math.max(...state.scripts.map(({ version }) => version));
  const newest = Math.max(0, ...state.applied);
  if (newest > known) return failure(name, `slackchat_bridge was made by a newer version of the bridge (migration ${newest}; this one knows ${known})`, 'update the bridge');
  if (!state.schemaExists || newest === 0) {
    const may = server.known && !server.value.mayCreate ? `  # as a role with CREATE on the database; ${roleOf(survey)} lacks it` : '';
    return failure(name, 'there is no schema slackchat_bridge yet', `${SETUP}${may}`);
  }
  if (newest < known) return failure(name, `slackchat_bridge is at migration ${newest}; this version needs ${known}`, SETUP);
  const pending = pendingSteps(state, survey.names).some(({ title }) => title.startsWith('functions'));
  return pending ? warning(name, 'the functions are of another version or were made for other tables', SETUP) : ok(name, `slackchat_bridge is at migration ${newest}`);
}

function publication({ names, published }: Survey, state: DatabaseState): readonly Check[] {
  const name = 'publication';
  const quoted = quoteIdent(names.publication);
  if (state.published === null) return [failure(name, `"${names.publication}" does not exist`, SETUP)];
  if (!published.known) return [unseen(name, published.why, null)];
  const checks: Check[] = [];
  if (!state.publishesAll) checks.push(failure(name, `"${names.publication}" does not publish every kind of change`, `ALTER PUBLICATION ${quoted} SET (publish = 'insert, update, delete, truncate');`));
  const wanted: readonly Wanted[] = [...names.tables.map((table) => ({ ...table, name: tableName(table), wantedFilter: rowFilter(table, names.shard, state.catalog) })), OWN_WEBHOOKS];
  const found = new Map(published.value.map((one) => [one.name, one]));
  const missing = wanted.filter((table) => !found.has(table.name));
  if (missing.length > 0) checks.push(failure(name, `"${names.publication}" lacks ${someOf(missing.map((table) => table.name), 12)}`, names.shard !== null ? SETUP : `ALTER PUBLICATION ${quoted} ADD TABLE ${missing.map(qualifiedName).join(', ')};`));
  for (const table of wanted) {
    const again = `ALTER PUBLICATION ${quoted} DROP TABLE ${qualifiedName(table)}; ALTER PUBLICATION ${quoted} ADD TABLE ${qualifiedName(table)};`;
    const one = found.get(table.name);
    if (one === undefined) continue;
    const { wantedFilter } = table;
    if (!isSameFilter(one.rowFilter, wantedFilter)) {
      const rows = (filter: string | null): string => (filter === null ? 'all rows' : `only rows with ${filter}`);
      checks.push(failure(name, `of ${table.name} ${rows(one.rowFilter)} are published${wantedFilter === null ? '' : `, and it must be ${rows(wantedFilter)}`}`, wantedFilter === null ? again : SETUP));
    }
    const hidden = one.columns === null ? [] : Object.entries(table.columns).filter(([logical, column]) => !table.optional.includes(logical) && one.columns?.includes(column) === false);
    if (hidden.length > 0) checks.push(failure(name, `of ${table.name} the columns ${someOf(hidden.map(([, column]) => column))} are not published`, again));
  }
  return checks.length > 0 ? checks : [ok(name, `"${names.publication}" publishes every change of all ${wanted.length} tables${names.shard === null ? '' : ', of messages and what belongs to them those of this shard'}`)];
}

function identities({ names }: Survey, state: DatabaseState): Check {
  const name = 'replica_identity';
  const faults = names.tables.filter((table) => state.catalog.has(table.entity) && !identityIsSufficient(table, state));
  if (faults.length === 0) return ok(name, 'deleted rows show what they were');
  return failure(name, `deletes do not show the old row of ${someOf(faults.map(tableName), 12)}`, state.schemaExists ? `${SETUP}  # or: ${faults.map((table) => `ALTER TABLE ${qualifiedName(table)} REPLICA IDENTITY FULL;`).join(' ')}` : SETUP);
}

function slot(survey: Survey, state: DatabaseState): readonly Check[] {
  const name = 'slot';
  const { names } = survey;
  const called = `"${names.slot}"`;
  if (state.slot === null) {
    const was = survey.own.known && slotWasMade(state, names);
    return [failure(name, was ? `${called} is lost: it was made, and is not there any more` : `${called} does not exist`, was ? `${SETUP}  # every channel is then announced to every endpoint` : SETUP)];
  }
  const { plugin, database, walStatus } = state.slot;
  if (plugin !== 'pgoutput' || database !== state.database) {
    return [failure(name, `${called} belongs to something else (plugin ${plugin ?? 'none'}, database ${database ?? 'none'})`, 'set SLOT_NAME to another name, then run slackchat-bridge setup')];
  }
  const details = survey.slot.known ? survey.slot.value : null;
  if (walStatus === 'lost' || details?.lostBecause !== null && details !== null) {
    return [failure(name, `${called} is lost (${details?.lostBecause ?? 'the server has removed the WAL that it needs'}): changes since are not in the stream`, `${SETUP}  # every channel is then announced to every endpoint; a running bridge does it by itself unless ON_SLOT_LOST is stop`)];
  }
  if (details === null) return [unseen(name, survey.slot.known ? 'it vanished while it was looked at' : survey.slot.why, null)];
  const kept = megabytes(details.keptBytes ?? 0);
  const use = details.active ? ok(name, `${called} is in use`) : warning(name, `${called} is not in use: no bridge runs, and the server keeps ${kept} of WAL for it`, 'slackchat-bridge run');
  return [use, lag(survey, details), ...failover(survey, details.failover)];
}

function failover({ replication, names }: Survey, is: boolean | null): readonly Check[] {
  const standbys = replication.known ? replication.value.standbys : 0;
  if (is !== false || standbys === 0) return [];
  return [
    warning(
      'slot_failover',
      `standbys follow this server, and "${names.slot}" is no failover slot: one that is promoted does not have it, and every channel is announced then`,
      `stop the bridge, then: psql "dbname=… replication=database" -c 'ALTER_REPLICATION_SLOT ${names.slot} (FAILOVER true)'`,
    ),
  ];
}

function lag({ settings, platform }: Survey, { lagBytes, safeWalSize, walStatus, keptBytes }: { lagBytes: number | null; safeWalSize: number | null; walStatus: string | null; keptBytes: number | null }): Check {
  const name = 'slot_lag';
  const detail = `${megabytes(lagBytes ?? 0)} behind, ${megabytes(keptBytes ?? 0)} of WAL kept, wal_status ${walStatus ?? 'unknown'}${safeWalSize === null ? '' : `, ${megabytes(Math.max(0, safeWalSize))} until the slot is lost`}`;
  const limit = settings.known ? Number(settings.value.get('max_slot_wal_keep_size')) : -1;
  const raise = setting(platform, 'max_slot_wal_keep_size', limit > 0 ? `${limit * 2}MB` : '-1', false);
  if (walStatus === 'unreserved') return failure(name, `${detail}: the slot is lost at the next checkpoint`, `let the bridge catch up at once; ${raise}`);
  if (safeWalSize !== null && limit > 0 && safeWalSize < (limit * 1024 * 1024) / 4) return warning(name, detail, `let the bridge catch up; ${raise}`);
  return (lagBytes ?? 0) > LAG_LIMIT ? warning(name, detail, 'look why the bridge does not keep up: slackchat-bridge status') : ok(name, detail);
}

/** What no SQL mends is told by other checks. */
function pendingSteps(state: DatabaseState, names: Names): readonly Step[] {
  try {
    return planSetup(state, names);
  } catch (error) {
    if (error instanceof PreconditionError) return [];
    throw error;
  }
}
