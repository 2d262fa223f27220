import type pg from 'pg';
import type { BridgeConfig } from './config.js';
import { PreconditionError } from './errors.js';
import { tableName, type ChatEntity } from './mapping.js';
import { Source } from './store/source.js';

/** @throws {PreconditionError} when the database does not hold the chat that the configuration describes */
export async function openSource(pool: pg.Pool, config: BridgeConfig): Promise<Source> {
  const source = await Source.open(pool, config.mapping.tables);
  const channels = source.table('channel');
  if (config.CHANNEL_ID_FORMAT === 'hex' && channels !== null && channels.keyType !== 'uuid') {
    throw new PreconditionError(`CHANNEL_ID_FORMAT is hex, but the keys of ${tableName(channels.table)} are no uuids (${channels.keyType}): leave it out`);
  }
  return source;
}

/** Of these there is no table, or no name in it: what refers to them is the name. */
export function bareEntities(source: Source): ReadonlySet<ChatEntity> {
  const named = [['user', 'api_id'], ['chatType', 'name'], ['argument', 'name']] as const;
  return new Set(named.flatMap(([entity, column]) => (source.table(entity)?.table.columns[column] === undefined ? [entity] : [])));
}
