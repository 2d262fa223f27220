import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export interface Guarding {
  /** bound to loopback: then the Host header has to name it */
  readonly loopback: boolean;
  /** null: none is asked for */
  readonly token: string | null;
}

export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * On every answer. Nothing is said of other origins, so a browser lets none of them read it; a page of
 * our own takes its scripts and styles from files beside it, and nothing from elsewhere.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/iu;

/**
 * Why this request is not answered; null when it is.
 * @param open the path is one that needs no token
 */
export function refusalOf(request: IncomingMessage, { loopback, token }: Guarding, open: boolean): Refusal | null {
  // Nothing is changed through this port, so there is nothing that another site could make a browser do.
  if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, reason: 'only GET', headers: { allow: 'GET, HEAD' } };
  // A name of someone else's that resolves to loopback (DNS rebinding) would make a browser take us for that site.
  if (loopback && !LOOPBACK_HOST.test(request.headers.host ?? 'localhost')) {
    return { status: 421, reason: 'the Host header must be localhost or a loopback address, because ADMIN_HOST is one', headers: {} };
  }
  if (open || token === null || holdsToken(request, token)) return null;
  return { status: 401, reason: 'the ADMIN_TOKEN is needed as a bearer token', headers: { 'www-authenticate': 'Bearer' } };
}

/** Hashed first, so that neither the content nor the length shows in the time that it takes. */
function holdsToken(request: IncomingMessage, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(request.headers.authorization ?? ''), digest(`Bearer ${token}`));
}
