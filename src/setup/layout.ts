import { PreconditionError } from '../errors.js';
import { parseLsn, type Lsn } from '../lsn.js';
import { quoteIdent } from '../mapping.js';
import type { Shard } from '../shard.js';
import type { DatabaseState } from './inspect.js';
import { countOf, shardOfPublication, shardOfSlot, type Names } from './names.js';
import { dropSlotSql, forgetSlotSql, literal, remember, type Step } from './statements.js';

/** How many instances share the messages out, as `meta` has it. */
export interface Layout {
  /** null: it was never set up */
  readonly count: number | null;
  /** what setup has made ready to follow; null: nothing */
  readonly next: number | null;
  /** the change to `count` is not done yet: from how many, which tell what is committed before `at` (null: that is not decided yet) */
  readonly handover: { readonly from: number; readonly at: Lsn | null } | null;
}

export const LAYOUT_KEYS = { count: 'shards', next: 'shards next', from: 'shards before', at: 'shards change at' } as const;

export function layoutOf(meta: ReadonlyMap<string, string>): Layout {
  const number = (key: string): number | null => (meta.has(key) ? Number(meta.get(key)) : null);
  const from = number(LAYOUT_KEYS.from);
  const at = meta.get(LAYOUT_KEYS.at);
  return {
    count: number(LAYOUT_KEYS.count) ?? (meta.has('slot') ? 1 : null),
    next: number(LAYOUT_KEYS.next),
    handover: from === null ? null : { from, at: at === undefined ? null : parseLsn(at) },
  };
}

/**
 * How many there are changes only when setup is told so: an instance that was forgotten somewhere must not change it.
 * @param mayWait for its turn, if setup has made that ready
 * @throws {PreconditionError} when an instance of this SHARD has nothing to do here
 */
export function refuseLayout({ meta }: Pick<DatabaseState, 'meta'>, names: Pick<Names, 'shard'>, mayWait = true): void {
  const { count, next } = layoutOf(meta);
  const own = countOf(names);
  if (count === null || own === count || (mayWait && own === next)) return;
  throw new PreconditionError(
    `this instance is ${spell(names.shard)}, but the messages of this database are told by ${instances(count)}${next === null ? '' : `, soon by ${instances(next)}`}: ` +
      `set SHARD so, or change how many there are with ${settingOf(names.shard)}slackchat-bridge setup (docs/shards.md)`,
  );
}

/** Notes how many there are or are to be, and removes what was made for other numbers. */
export function planLayout(state: DatabaseState, names: Names): readonly Step[] {
  const { count, next, handover } = layoutOf(state.meta);
  const own = countOf(names);
  const needs = 'owner of the schema slackchat_bridge';
  if (count === null) return own === 1 ? [] : [{ title: `a note that ${instances(own)} share the messages`, needs, sql: [remember(LAYOUT_KEYS.count, String(own))] }];
  if (handover !== null && own !== count) {
    throw new PreconditionError(`the change from ${handover.from} to ${count} is not done yet: start an instance of ${count} first (docs/shards.md)`);
  }
  if (own > 1 && state.channelOrdered.length > 0) {
    throw new PreconditionError(
      `webhooks ${state.channelOrdered.join(', ')} have ordering = 'channel', and several instances cannot keep the order of a channel. Where the order of each message is enough: ` +
        `UPDATE slackchat_bridge.webhooks SET ordering = 'message' WHERE ordering = 'channel'; otherwise leave SHARD out`,
    );
  }
  const steps: Step[] = [];
  if (own !== count && own !== next) steps.push({ title: `a note that ${instances(own)} are to share the messages`, needs, sql: [remember(LAYOUT_KEYS.next, String(own))] });
  if (own === count && next !== null) {
    steps.push({ title: `no change to ${instances(next)}`, needs, sql: [`DELETE FROM slackchat_bridge.meta WHERE key = ${literal(LAYOUT_KEYS.next)}`], tidying: true });
  }
  return handover === null ? [...steps, ...planTidying(state, names, [count, own])] : steps;
}

function planTidying(state: DatabaseState, names: Names, counts: readonly number[]): readonly Step[] {
  const isKept = (shard: Shard | null | undefined): boolean => shard === undefined || counts.includes(countOf({ shard }));
  const slots = [...state.slots].filter(([name, { database }]) => database === state.database && !isKept(shardOfSlot(names, name)));
  const publications = [...state.publications.keys()].filter((name) => !isKept(shardOfPublication(names, name)));
  return [
    ...slots.map(([name]) => ({
      title: `the replication slot ${name}, which nobody uses any more, goes`,
      needs: 'REPLICATION',
      sql: [dropSlotSql(name), forgetSlotSql({ slot: name, shard: shardOfSlot(names, name) ?? null })],
      tidying: true,
    })),
    ...publications.map((name) => ({
      title: `the publication ${name}, which nobody uses any more, goes`,
      needs: 'owner of the publication',
      sql: [`DROP PUBLICATION ${quoteIdent(name)}`],
      tidying: true,
    })),
  ];
}

function instances(count: number): string {
  return count === 1 ? 'one instance (without SHARD)' : `${count} shards`;
}

function spell(shard: Shard | null): string {
  return shard === null ? 'without SHARD' : `SHARD ${shard.index}/${shard.count}`;
}

function settingOf(shard: Shard | null): string {
  return shard === null ? '' : `SHARD=${shard.index}/${shard.count} `;
}
