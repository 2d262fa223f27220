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

/** `open`: read without a token; `read`: with it, where one is set; `change`: with it too, and never for another site */
export type Access = 'open' | 'read' | 'change';

/** Why this request is not answered; null when it is. */
export function refusalOf(request: IncomingMessage, { loopback, token }: Guarding, access: Access): Refusal | null {
  const methods = access === 'change' ? ['POST'] : ['GET', 'HEAD'];
  if (!methods.includes(request.method ?? '')) return { status: 405, reason: `only ${methods[0] ?? ''}`, headers: { allow: methods.join(', ') } };
  // A name of someone else's that resolves to loopback (DNS rebinding) would make a browser take us for that site.
  if (loopback && !LOOPBACK_HOST.test(request.headers.host ?? 'localhost')) {
    return { status: 421, reason: 'the Host header must be localhost or a loopback address, because ADMIN_HOST is one', headers: {} };
  }
  if (access !== 'open' && token !== null && !holdsToken(request, token)) {
    return { status: 401, reason: 'the ADMIN_TOKEN is needed as a bearer token', headers: { 'www-authenticate': 'Bearer' } };
  }
  return access === 'change' ? foreign(request) : null;
}

/**
 * A page of another site can make a browser post here, but not with another content type than that of a
 * form without asking first, which is not allowed to it; and a browser names where a request is from.
 */
function foreign({ headers }: IncomingMessage): Refusal | null {
  const site = headers['sec-fetch-site'];
  const own = headers.origin === undefined || (URL.canParse(headers.origin) && new URL(headers.origin).host === headers.host?.toLowerCase());
  if (!own || (site !== undefined && site !== 'same-origin')) return { status: 403, reason: 'nothing is changed for a page of another origin', headers: {} };
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  return type === 'application/json' ? null : { status: 415, reason: 'the content-type must be application/json', headers: {} };
}

/** Hashed first, so that neither the content nor the length shows in the time that it takes. */
function holdsToken(request: IncomingMessage, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(request.headers.authorization ?? ''), digest(`Bearer ${token}`));
}
