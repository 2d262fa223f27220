import { isWhole, type TableMapping } from './mapping.js';
import type { WatchedTable } from './wal/decoder.js';

/**
 * What of the tables is read from the stream.
 * @param everyChannelColumn changes of channels are requests, whichever column it is that changed
 */
export function watchedTables(tables: readonly TableMapping[], everyChannelColumn: boolean): readonly WatchedTable[] {
  const own: WatchedTable = { entity: 'webhook', schema: 'slackchat_bridge', table: 'webhooks', columns: new Map([['id', 'id']]), required: ['id'] };
  return [
    ...tables.map(({ entity, schema, table, columns, optional }) => {
      const everyColumn = entity === 'channel' && everyChannelColumn;
      // Of `serialized` only a query asks, and only whether it is there; of what a whole channel needs too.
      const read = (logical: string): boolean => everyColumn || (logical !== 'serialized' && !isWhole(entity, logical));
      return {
        entity,
        schema,
        table,
        columns: new Map(Object.entries(columns).flatMap(([logical, real]) => (read(logical) ? [[real, logical]] : []))),
        required: Object.keys(columns).filter((logical) => read(logical) && !optional.includes(logical)),
        everyColumn,
      };
    }),
    own,
  ];
}
