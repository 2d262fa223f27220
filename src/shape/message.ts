import { ATTACHMENT_KEYS } from '../mapping.js';
import { isoTimestamp } from '../time.js';
import type { Row } from '../types.js';
import type { Children } from './coalesce.js';

/** Names that rows refer to by id. */
export interface Names {
  user(id: string): string | null;
  argument(id: string): string | null;
}

export type SerializedMessage = Readonly<Record<string, unknown>>;

/**
 * A message as the application serializes it: keys in its order, empty ones left out.
 * Children come ordered by id.
 */
export function serializeMessage(row: Row, children: Children, names: Names): SerializedMessage {
  const reactions: unknown[] = [];
  const args: string[] = [];
  for (const reaction of children.reaction) {
    const argument = reaction['argument_id'];
    if (typeof argument === 'string') {
      args.push(names.argument(argument) ?? '');
    } else {
      reactions.push({
        timestamp: isoTimestamp(reaction['timestamp'] ?? ''),
        reaction: reaction['reaction'] ?? '',
        user: names.user(reaction['user_id'] ?? ''),
      });
    }
  }
  const attachments = children.attachment.map(serializeAttachment);
  // fromEntries, because a key may be called __proto__; of several with one key the last wins.
  const kwargs = Object.fromEntries(children.kwarg.map((kwarg) => [kwarg['key'] ?? '', kwarg['value'] ?? '']));

  const user = names.user(row['user_id'] ?? '');
  const content = row['text'] ?? '';
  return {
    timestamp: isoTimestamp(row['timestamp'] ?? ''),
    ...(user === null || user === '' ? {} : { user }),
    ...(content === '' ? {} : { content }),
    ...(reactions.length === 0 ? {} : { reactions }),
    ...(attachments.length === 0 ? {} : { attachments }),
    ...(args.length === 0 ? {} : { args }),
    ...(children.kwarg.length === 0 ? {} : { kwargs }),
  };
}

/** Keys without a value are left out: null, '' and 0. */
function serializeAttachment(row: Row): Readonly<Record<string, string | number>> {
  const attachment: Record<string, string | number> = {};
  for (const key of ATTACHMENT_KEYS) {
    const text = row[key];
    if (text === null || text === undefined || text === '') continue;
    if (!/_(width|height)$/u.test(key)) attachment[key] = text;
    else if (Number(text) !== 0) attachment[key] = Number(text);
  }
  return attachment;
}
