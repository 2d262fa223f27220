import type { UpdateType } from '../types.js';
import { settle, type Delivery, type Note, type Place } from './delivery.js';

/*
 * While deliveries about a message wait, they collapse into their net effect. What is left bears the id, the place and
 * the text of the last of them. So whoever has seen that id has seen that state, and whoever has not gets it, also when
 * the stream is read again after a crash: they collapse again (an endpoint holds back what is repeated until all of it is
 * there), into the same id or a later one. What an attempt has begun for may have been received: it stays as it is,
 * and nothing passes it. What is repeated may have been received too, and of a message that was told of before it came the
 * receiver may know: the deletion of such a message is told.
 */

/** One that has a row. Its text is not needed: what is left bears a later one. */
export interface StoredNote extends Omit<Note, 'body'> {
  readonly lane: string;
  readonly begun: boolean;
}

type Told = Omit<Note, 'body'>;

/** What one lane's deliveries come to. */
interface Kept {
  readonly told: Told;
  readonly begun: boolean;
  /** it has a row already */
  readonly stored: boolean;
  /** to be written; null: its row stays as it is */
  readonly delivery: Delivery | null;
}

/** The net effect of two of one message, neither of which can have been received; 'both': there is none but the two. */
export function netEffect(earlier: Told, later: Note): Note | 'nothing' | 'both' {
  if (earlier.messageId === null || !isSame(earlier, later)) return 'both';
  const kind = netKind(earlier, later);
  if (kind === 'nothing' || kind === 'both') return kind;
  // With what is live it is live: nobody who passes replays over may miss it.
  return { ...later, updateType: kind, body: withKind(later.body, later.updateType, kind), repeated: earlier.repeated || later.repeated, replay: earlier.replay && later.replay };
}

function netKind(earlier: Told, later: Told): UpdateType | 'nothing' | 'both' {
  switch (`${earlier.updateType}+${later.updateType}`) {
    case 'message_created+message_changed':
      return 'message_created';
    case 'message_created+message_deleted':
      return earlier.repeated ? 'message_deleted' : 'nothing';
    case 'message_changed+message_changed':
      return 'message_changed';
    case 'message_changed+message_deleted':
      return 'message_deleted';
    case 'message_deleted+message_created':
      // It moved away and back. Whoever has seen the later one would be left without it by the earlier.
      return earlier.repeated && later.repeated ? 'message_created' : 'both';
    default:
      return 'both';
  }
}

/** About the same message in the same channel: one that moved is deleted in the one and created in the other. */
function isSame(a: Told, b: Told): boolean {
  return a.messageId === b.messageId && a.channelId === b.channelId;
}

/** Quotes inside of a JSON string are escaped: this key is the body's own. */
function withKind(body: string, from: UpdateType | null, to: UpdateType | null): string {
  return from === to || from === null || to === null ? body : body.replace(`"update_type":"${from}"`, () => `"update_type":"${to}"`);
}

/** One more for a lane of which nothing that waits has begun. @returns what waits then; null: it is only one more */
export function mergeInto(waiting: readonly Delivery[], next: Delivery): readonly Delivery[] | null {
  const { note } = next;
  if (note.messageId === null) return null;
  // What is about the channel as a whole is not passed: it may show what a deletion is about.
  const at = waiting.findLastIndex((each) => each.note.messageId === null || isSame(each.note, note));
  const earlier = waiting[at];
  if (earlier === undefined) return null;
  const net = netEffect(earlier.note, note);
  if (net === 'both') return null;
  const rest = waiting.toSpliced(at, 1);
  if (net === 'nothing') {
    settle(earlier);
    settle(next);
    return rest;
  }
  const both = (): void => {
    settle(earlier);
    settle(next);
  };
  return [...rest, { ...next, note: net, cameAt: earlier.cameAt, settle: both }];
}

/** What a batch comes to. */
interface Parked {
  /** ids whose rows go */
  readonly remove: readonly string[];
  readonly park: readonly Delivery[];
  /** how many went into others, or came to nothing */
  readonly collapsed: number;
}

/**
 * What is to be written for a batch, in the order of the commits for each lane.
 * @param stored what waits in rows: all about the messages of the batch, and the last about the channel in each lane
 */
export function planParking(stored: readonly StoredNote[], batch: readonly Delivery[]): Parked {
  const lanes = new Map<string, Kept[]>();
  const remove: string[] = [];
  let collapsed = 0;
  const lineOf = (lane: string): Kept[] => {
    const line = lanes.get(lane) ?? [];
    lanes.set(lane, line);
    return line;
  };
  for (const told of stored) insert(lineOf(told.lane), { told, begun: told.begun, stored: true, delivery: null });
  for (const delivery of batch) {
    const line = lineOf(delivery.lane);
    const before = line.length;
    const gone = delivery.dead ? apart(line, delivery) : place(line, delivery);
    if (gone === null) continue;
    if (gone.stored) remove.push(gone.told.notificationId);
    collapsed += before + 1 - line.length;
  }
  return { remove, collapsed, park: [...lanes.values()].flat().flatMap(({ delivery }) => delivery ?? []) };
}

/** What is not sent collapses with nothing. */
function apart(line: Kept[], delivery: Delivery): null {
  insert(line, { told: delivery.note, begun: true, stored: false, delivery });
  return null;
}

/** @returns what it takes the place of, or cancels out with */
function place(line: Kept[], delivery: Delivery): Kept | null {
  const { note, begun } = delivery;
  const known = line.findIndex(({ told }) => told.notificationId === note.notificationId);
  const before = line[known];
  if (before !== undefined) {
    line[known] = again(before, delivery);
    return null;
  }
  // Read again after a crash, and one that came after it has a row: it was delivered by then, or collapsed into that. Its
  // message may have been in another channel then, in which a row would show it as it was.
  if (note.repeated && line.some(({ told }) => told.messageId === note.messageId && isBefore(note, told))) return null;
  const aboutIt = ({ told }: Kept): boolean => isSame(told, note);
  const at = line.findLastIndex((each) => isBefore(each.told, note) && (each.told.messageId === null || aboutIt(each)));
  const earlier = line[at];
  const net = earlier === undefined || earlier.begun || begun ? 'both' : netEffect(earlier.told, note);
  if (earlier === undefined || net === 'both') {
    insert(line, { told: note, begun, stored: false, delivery });
    return null;
  }
  line.splice(at, 1);
  if (net !== 'nothing') insert(line, { told: net, begun, stored: false, delivery: { ...delivery, note: net } });
  return earlier;
}

/**
 * The same one read again: newer perhaps, and as what it already is. What may have been received stays word for word,
 * and so does what is of another channel than the message is in by now: that it moved comes after it.
 */
function again(kept: Kept, delivery: Delivery): Kept {
  if (kept.begun || kept.told.channelId !== delivery.note.channelId) return kept;
  const { told: { updateType, repeated, replay }, stored } = kept;
  const { note } = delivery;
  const renewed: Note = { ...note, updateType, repeated, replay, body: withKind(note.body, note.updateType, updateType) };
  return { told: renewed, begun: delivery.begun, stored, delivery: { ...delivery, note: renewed } };
}

function insert(line: Kept[], kept: Kept): void {
  line.splice(line.findLastIndex(({ told }) => !isBefore(kept.told, told)) + 1, 0, kept);
}

function isBefore(a: Place, b: Place): boolean {
  return a.lsn < b.lsn || (a.lsn === b.lsn && a.seq < b.seq);
}
