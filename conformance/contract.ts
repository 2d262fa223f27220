import type { Committed, Tuple, Write } from './journal.js';

export type Kind = 'message_created' | 'message_changed' | 'message_deleted';

/** What a step did to one message, and what the contract's table makes of it. */
export interface Story {
  readonly id: string;
  /** the notifications that are due, in order */
  readonly kinds: readonly Kind[];
  /** the same if children also waited where `serialized` was NULL: the snapshot in which it is read may be newer */
  readonly folded: readonly Kind[];
  /** how many of the transactions moved it to another channel, or gave it another id */
  readonly moves: number;
  /** a transaction inserted and deleted it */
  readonly transient: boolean;
  /** a transaction deleted it together with children, or re-saved it before */
  readonly cascaded: boolean;
  /** how many rows of it, its own and its children's, the step wrote; and how often its own */
  readonly writes: number;
  readonly rowWrites: number;
  /** a write renewed `serialized`, as the application's own saves do and nothing else does */
  readonly saved: boolean;
  /** `serialized` as the application stored it last */
  readonly serialized: string | null;
  /** the columns that its last write changed while it left `serialized` as it was: the application did not tell that */
  readonly silent: readonly string[];
}

/** One message in one transaction. */
interface Draft {
  existed: boolean;
  exists: boolean;
  from: string | null;
  to: string | null;
  /** the message's own row was written, and had this in `serialized` before */
  row: boolean;
  maintained: boolean;
  writes: number;
  rowWrites: number;
  saved: boolean;
  serialized: string | null;
  silent: readonly string[];
}

interface Growing {
  kinds: Kind[];
  folded: Kind[];
  moves: number;
  transient: boolean;
  cascaded: boolean;
  writes: number;
  rowWrites: number;
  saved: boolean;
  serialized: string | null;
  silent: readonly string[];
  /** how many of the last kinds are of children alone and wait for the message's own UPDATE */
  waiting: number;
}

const CHILDREN = new Set(['reaction', 'attachment', 'keywordargument']);
const WATCHED = new Set(['message', ...CHILDREN]);

/** How often every channel is told that it changed. */
export function truncates(transactions: readonly Committed[]): number {
  return transactions.flat().filter(({ op, table }) => op === 'TRUNCATE' && table.split(' ').some((name) => WATCHED.has(name))).length;
}

/** The contract's table, written down a second time, independently of the bridge. */
export function stories(transactions: readonly Committed[]): ReadonlyMap<string, Story> {
  const all = new Map<string, Growing>();
  for (const writes of transactions) {
    for (const [id, draft] of drafts(writes)) {
      const story = all.get(id) ?? { kinds: [], folded: [], moves: 0, transient: false, cascaded: false, writes: 0, rowWrites: 0, saved: false, serialized: null, silent: [], waiting: 0 };
      all.set(id, story);
      grow(story, draft);
    }
  }
  return new Map([...all].map(([id, story]) => [id, { id, ...story }]));
}

function grow(story: Growing, draft: Draft): void {
  story.writes += draft.writes;
  story.rowWrites += draft.rowWrites;
  if (draft.row) {
    // The application's second transaction: what waited goes out with it.
    if (draft.maintained) story.kinds.splice(story.kinds.length - story.waiting, story.waiting);
    story.folded.splice(story.folded.length - story.waiting, story.waiting);
    story.waiting = 0;
    story.saved ||= draft.saved;
    story.serialized = draft.serialized;
    story.silent = draft.silent;
  }
  const due = (...kinds: readonly Kind[]): void => {
    story.kinds.push(...kinds);
    story.folded.push(...kinds);
  };
  if (!draft.existed && !draft.exists) {
    story.transient = true;
  } else if (!draft.existed) {
    due('message_created');
  } else if (!draft.exists) {
    due('message_deleted');
    story.cascaded ||= draft.writes > 1;
  } else if (draft.from !== draft.to) {
    due('message_deleted', 'message_created');
    story.moves += 1;
  } else {
    due('message_changed');
    if (!draft.row) story.waiting += 1;
  }
}

function drafts(writes: Committed): ReadonlyMap<string, Draft> {
  const found = new Map<string, Draft>();
  const touch = (id: string | null | undefined): Draft | null => {
    if (id === null || id === undefined) return null;
    const draft = found.get(id) ?? { existed: true, exists: true, from: null, to: null, row: false, maintained: false, writes: 0, rowWrites: 0, saved: false, serialized: null, silent: [] };
    found.set(id, draft);
    draft.writes += 1;
    return draft;
  };
  for (const write of writes) {
    if (write.op === 'TRUNCATE') {
      // What was done before to the rows of an emptied table no longer shows.
      if (write.table.split(' ').includes('message')) found.clear();
    } else if (write.table === 'message') {
      messageWrites(write).forEach(({ before, after }) => apply(touch(after?.['id'] ?? before?.['id']), before, after));
    } else if (CHILDREN.has(write.table)) {
      const from = write.before?.['message_id'];
      const to = write.after?.['message_id'];
      touch(from ?? to);
      if (from !== undefined && to !== undefined && from !== to) touch(to);
    }
  }
  return found;
}

/** An UPDATE of the key is one message going and another coming. */
function messageWrites({ before, after }: Write): readonly Pick<Write, 'before' | 'after'>[] {
  if (before === null || after === null || before['id'] === after['id']) return [{ before, after }];
  return [
    { before, after: null },
    { before: null, after },
  ];
}

function apply(draft: Draft | null, before: Tuple | null, after: Tuple | null): void {
  if (draft === null) return;
  const first = !draft.row;
  draft.rowWrites += 1;
  draft.row = true;
  if (first && before === null) draft.existed = false;
  if (first) {
    draft.from = (before ?? after)?.['channel_id'] ?? null;
    draft.maintained = typeof before?.['serialized'] === 'string';
  }
  draft.exists = after !== null;
  draft.to = (after ?? before)?.['channel_id'] ?? null;
  draft.serialized = (after ?? before)?.['serialized'] ?? null;
  draft.saved ||= typeof after?.['serialized'] === 'string' && after['serialized'] !== before?.['serialized'];
  draft.silent = before === null || after === null || before['serialized'] !== after['serialized'] ? [] : Object.keys(after).filter((column) => (before[column] ?? null) !== after[column]);
}
