/**
 * One of several instances that share the messages out: each has those whose key's hash falls to it.
 * `index` counts from 1.
 */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

export const MOST_SHARDS = 64;
const FORM = /^(?<index>\d{1,2})\/(?<count>\d{1,2})$/u;

/**
 * "2/3". Counted from 0 or from 1: 0/3 is the same as 3/3, so that both ways of counting give every shard once.
 * @returns null for what needs no shards ("1/1"); undefined when the text is none
 */
export function parseShard(text: string): Shard | null | undefined {
  const { index, count } = FORM.exec(text)?.groups ?? {};
  const [i, n] = [Number(index), Number(count)];
  if (!(n >= 1 && n <= MOST_SHARDS && i <= n)) return undefined;
  return n === 1 ? null : { index: i === 0 ? n : i, count: n };
}

/** The one that tells of what is no single message: explicit requests, emptied tables, verification. */
export function isFirst(shard: Shard | null): boolean {
  return shard === null || shard.index === 1;
}

export function shardsOf(count: number): readonly (Shard | null)[] {
  return count === 1 ? [null] : Array.from({ length: count }, (_item, index) => ({ index: index + 1, count }));
}

/** "2/3"; null: nothing is shared. */
export function spellShard(shard: Shard | null): string | null {
  return shard === null ? null : `${shard.index}/${shard.count}`;
}

/** Of its slot and publication: "slackchat_bridge_2_of_3". */
export function shardName(base: string, shard: Shard | null): string {
  return shard === null ? base : `${base}_${shard.index}_of_${shard.count}`;
}

/** The shard that a name of this base stands for; undefined when it is another's. */
export function shardOfName(base: string, name: string): Shard | null | undefined {
  if (name === base) return null;
  const rest = name.startsWith(`${base}_`) ? name.slice(base.length + 1) : '';
  const shard = /^[1-9]\d?_of_[1-9]\d?$/u.test(rest) ? parseShard(rest.replace('_of_', '/')) : undefined;
  return shard === null ? undefined : shard;
}

/** What one shard may have of a number that all of them share; at least one. */
export function shareOf(shard: Shard | null, total: number): number {
  if (shard === null) return total;
  return Math.max(1, Math.floor(total / shard.count) + (shard.index <= total % shard.count ? 1 : 0));
}

/**
 * Whether a message's key falls to the shard, as SQL in the words in which the server repeats a row filter. The hashes
 * are those of hash indexes: immutable, built in, and spread evenly whatever the keys are. Their sign is cut off.
 * @param keyType of the key, as the catalog calls it
 * @param key an expression of that type
 */
export function shardSql(shard: Shard, keyType: string, key: string): string {
  return `(mod((${hashSql(keyType, key)} & 2147483647), ${shard.count}) = ${shard.index - 1})`;
}

/**
 * Whether a lane of deliveries is the shard's, as SQL: computed from the lane, so that rows belong to whoever has the message
 * now, however many shared the messages when they were stored.
 * @param lane an expression: "message:<key>" or "channel:<key>"
 */
export function laneSql(shard: Shard | null, keyType: string, lane: string): string {
  if (shard === null) return 'true';
  return `CASE WHEN starts_with(${lane}, 'message:') THEN ${shardSql(shard, keyType, `substr(${lane}, 9)::${keyType}`)} ELSE ${isFirst(shard)} END`;
}

function hashSql(keyType: string, key: string): string {
  switch (keyType) {
    case 'bigint':
      return `hashint8(${key})`;
    case 'smallint':
    case 'integer':
      return `hashint8((${key})::bigint)`;
    case 'uuid':
      return `uuid_hash(${key})`;
    case 'text':
      return `hashtext(${key})`;
    default:
      return `hashtext((${key})::text)`;
  }
}
