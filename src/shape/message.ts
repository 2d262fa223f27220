import { ATTACHMENT_KEYS } from '../mapping.js';
import { isoTimestamp } from '../time.js';
import type { Row } from '../types.js';
import { NO_CHILDREN, type Children } from './coalesce.js';

/** Names that rows refer to by id. */
export interface Names {
  user(id: string): string | null;
  argument(id: string): string | null;
}

/** What the chat type makes of the message's text. Values are JSON text, so that every digit stays. */
export interface RenderedText {
  readonly content: string;
  readonly args: readonly string[];
  readonly kwargs: ReadonlyMap<string, string>;
  readonly attachment: string | null;
}

/**
 * A message as the application serializes it, as JSON text: keys in its order, empty ones left out.
 * Children come ordered by id.
 */
export function serializeMessage(row: Row, children: Children, names: Names, rendered: RenderedText): string {
  const author = row['user_id'];
  const user = typeof author === 'string' ? names.user(author) : null;
  let text = `{"timestamp":${JSON.stringify(isoTimestamp(row['timestamp'] ?? ''))}`;
  if (user !== null && user !== '') text += `,"user":${JSON.stringify(user)}`;
  if (rendered.content !== '') text += `,"content":${JSON.stringify(rendered.content)}`;
  // Nearly every new message is this already.
  if (children === NO_CHILDREN && rendered.attachment === null && rendered.args.length === 0 && rendered.kwargs.size === 0) return `${text}}`;

  const reactions: unknown[] = [];
  const args: string[] = [];
  for (const reaction of children.reaction) {
    const argument = reaction['argument_id'];
    if (typeof argument === 'string') {
      args.push(names.argument(argument) ?? '');
    } else {
      reactions.push({
        // A key whose column the database does not have is left out.
        timestamp: typeof reaction['timestamp'] === 'string' ? isoTimestamp(reaction['timestamp']) : reaction['timestamp'],
        reaction: reaction['reaction'] ?? '',
        user: typeof reaction['user_id'] === 'string' ? names.user(reaction['user_id']) : reaction['user_id'],
      });
    }
  }
  if (reactions.length > 0) text += `,"reactions":${JSON.stringify(reactions)}`;

  const attachments = children.attachment.map((attachment) => JSON.stringify(serializeAttachment(attachment)));
  if (rendered.attachment !== null) attachments.push(rendered.attachment);
  if (attachments.length > 0) text += `,"attachments":[${attachments.join(',')}]`;

  // Later templates' arguments come first.
  args.push(...rendered.args);
  if (args.length > 0) text += `,"args":${JSON.stringify(args)}`;

  if (children.kwarg.length > 0 || rendered.kwargs.size > 0) {
    // Those of the thread win over the templates', and of several with one key the last.
    const kwargs = new Map(rendered.kwargs);
    for (const kwarg of children.kwarg) kwargs.set(kwarg['key'] ?? '', JSON.stringify(kwarg['value'] ?? ''));
    text += `,"kwargs":{${Array.from(kwargs, ([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
  }
  return `${text}}`;
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
