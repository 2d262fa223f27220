import type { DatabaseState } from '../setup/inspect.js';
import { layoutOf } from '../setup/layout.js';
import { allOf, countOf, shardOfSlot } from '../setup/names.js';
import { failure, ok, warning, type Check } from './check.js';
import type { Survey } from './survey.js';

const SETUP = 'slackchat-bridge setup';

/** Whether the others that share the messages are there, and nothing holds WAL for a number that is not in force. */
export function shardChecks({ names, own }: Survey, state: DatabaseState): readonly Check[] {
  const name = 'shards';
  if (!own.known) return [];
  if (names.shard !== null && state.serverVersion < 150_000) return [failure(name, 'SHARD needs PostgreSQL 15 or newer', 'leave SHARD out')];
  const { count, next, handover } = layoutOf(state.meta);
  if (count === null) return [];
  const wanted = countOf(names);
  const known = [count, next, handover?.from, wanted];
  const unused = [...state.slots].flatMap(([slotName, { database }]) => (database !== state.database || known.includes(countOf({ shard: shardOfSlot(names, slotName) ?? null })) ? [] : [slotName]));
  const checks: Check[] = unused.map((slotName) => warning(name, `replication slot "${slotName}" is for a number of shards that is not in force: the server keeps WAL for it`, `${SETUP}  # removes it`));
  if (wanted !== count && wanted !== next) checks.push(failure(name, `SHARD says ${wanted}, but ${count} share the messages`, `set SHARD for ${count}; or change how many there are: ${SETUP} (docs/shards.md)`));
  if (handover !== null) checks.push(warning(name, `the change from ${handover.from} to ${count} is not done yet`, 'it is done by the instances that start: look at their logs'));
  else if (next !== null) {
    checks.push(warning(name, `${count} share the messages, and ${next} are ready to follow: the server keeps WAL for them`, `stop the ${count} and start the ${next} (docs/shards.md); to stay with ${count}: ${SETUP} with a SHARD of ${count}`));
  }
  if (count === 1 && wanted === 1) return checks;
  const idle = handover === null ? allOf(names, count).flatMap(({ slot }) => (state.slots.get(slot)?.active === true ? [] : [slot])) : [];
  if (idle.length > 0) checks.push(warning(name, `no instance streams from ${idle.join(', ')}: the messages of these shards wait`, 'start an instance for each of them (SHARD)'));
  return checks.length > 0 ? checks : [ok(name, `${count} share the messages, and all of them are there`)];
}
