import type { DatabaseConfig } from '../config.js';
import type { TableMapping } from '../mapping.js';
import { shardName, shardOfName, shardsOf, type Shard } from '../shard.js';

/** How things are called that one instance streams from. */
export interface Names {
  readonly slot: string;
  readonly publication: string;
  readonly tables: readonly TableMapping[];
  readonly shard: Shard | null;
  /** SLOT_NAME and PUBLICATION_NAME as they were given: without a shard's suffix */
  readonly base: { readonly slot: string; readonly publication: string };
}

export function namesOf(config: DatabaseConfig): Names {
  return namesWith({ slot: config.SLOT_NAME, publication: config.PUBLICATION_NAME }, [...config.mapping.tables.values()], config.SHARD);
}

export function namesWith(base: Names['base'], tables: readonly TableMapping[], shard: Shard | null): Names {
  return { slot: shardName(base.slot, shard), publication: shardName(base.publication, shard), tables, shard, base };
}

/** Into how many parts the messages are shared out. */
export function countOf({ shard }: Pick<Names, 'shard'>): number {
  return shard?.count ?? 1;
}

/** All that share the messages out, if there are so many. */
export function allOf({ base, tables }: Names, count: number): readonly Names[] {
  return shardsOf(count).map((shard) => namesWith(base, tables, shard));
}

/** The shard whose slot this is; undefined when it belongs to something else. */
export function shardOfSlot({ base }: Names, slot: string): Shard | null | undefined {
  return shardOfName(base.slot, slot);
}

export function shardOfPublication({ base }: Names, publication: string): Shard | null | undefined {
  return shardOfName(base.publication, publication);
}
