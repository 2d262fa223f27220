import type { Note } from './delivery.js';

/** From so many characters on, the text after the token is put into bytes once for all endpoints that are told. */
export const SHARED_FROM = 65_536;

/** A request's body, in one piece or two. */
export interface RequestBody {
  readonly parts: readonly Buffer[];
  readonly bytes: number;
}

const shared = new WeakMap<Note, Buffer>();

/** The token goes first, as in the application's own requests. */
export function bodyOf(note: Note, token: string): RequestBody {
  const head = `{"token":${JSON.stringify(token)},`;
  if (note.body.length < SHARED_FROM) {
    const whole = Buffer.from(head + note.body.slice(1));
    return { parts: [whole], bytes: whole.length };
  }
  let rest = shared.get(note);
  if (rest === undefined) {
    rest = Buffer.from(note.body.slice(1));
    shared.set(note, rest);
  }
  const parts = [Buffer.from(head), rest];
  return { parts, bytes: parts.reduce((sum, part) => sum + part.length, 0) };
}
