import type { Environment } from './config.js';

const AUTHORITY = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/isu;

/**
 * One environment for each host of DATABASE_URL or PGHOST, which may be lists as with libpq:
 * `postgres://user@one:5432,two:5433/chat`, or `PGHOST=one,two` with one PGPORT or as many.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
 */
export function eachHost(environment: Environment): readonly Environment[] {
  const url = environment['DATABASE_URL'] ?? '';
  if (url !== '') return eachUrl(url).map((one) => ({ ...environment, DATABASE_URL: one }));
  const hosts = (environment['PGHOST'] ?? '').split(',');
  if (hosts.length === 1) return [environment];
  const ports = (environment['PGPORT'] ?? '').split(',');
  return hosts.map((host, index) => ({ ...environment, PGHOST: host, PGPORT: ports[ports.length === 1 ? 0 : index] }));
}

/** The same URL for each of its hosts. */
export function eachUrl(url: string): readonly string[] {
  const [, before = '', hosts = '', after = ''] = AUTHORITY.exec(url) ?? [];
  if (!hosts.includes(',')) return [url];
  return hosts.split(',').map((host) => `${before}${host}${after}`);
}

/** For people; no user and no password. */
export function hostName({ DATABASE_URL: url, PGHOST, PGPORT }: Environment): string {
  if (url !== undefined && url !== '') return new URL(url).host;
  return PGPORT === undefined || PGPORT === '' ? (PGHOST ?? '') : `${PGHOST}:${PGPORT}`;
}

/** Of several hosts the one that takes writes is used, whether this asks for it or not; a standby cannot serve. */
export const SESSION_ATTRIBUTES = ['any', 'read-write', 'primary'];
