import type { Note } from './delivery.js';

/** From so many characters on, the text after the token is put into bytes once for all endpoints that are told. */
export const SHARED_FROM = 65_536;

/** A request's body, in one piece or two. */
export interface RequestBody {
  readonly parts: readonly Buffer[];
  readonly bytes: number;
}

const shared = new WeakMap<Note, Buffer>();

/** What a body begins with: the token goes first, as in the application's own requests. */
export function bodyHead(token: string): Buffer {
  return Buffer.from(`{"token":${JSON.stringify(token)},`);
}

/** @param head see `bodyHead`; it takes the place of the note's own `{` */
export function bodyOf(note: Note, head: Buffer): RequestBody {
  const { body } = note;
  if (body.length < SHARED_FROM) {
    // Put together as bytes: as text it would be copied once more.
    const whole = Buffer.allocUnsafe(head.length - 1 + Buffer.byteLength(body));
    whole.write(body, head.length - 1);
    whole.set(head);
    return { parts: [whole], bytes: whole.length };
  }
  let rest = shared.get(note);
  if (rest === undefined) {
    rest = Buffer.from(body.slice(1));
    shared.set(note, rest);
  }
  return { parts: [head, rest], bytes: head.length + rest.length };
}
