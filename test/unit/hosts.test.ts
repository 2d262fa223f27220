import { expect, test } from 'vitest';
import { databaseConfig } from '../../src/config.js';
import { eachHost, hostName } from '../../src/hosts.js';

test.each([
  ['postgres://u:p@one:5432/chat?sslmode=require', ['postgres://u:p@one:5432/chat?sslmode=require']],
  ['postgres://u:p@one:5432,two:5433,[::1]/chat?a=b,c', ['postgres://u:p@one:5432/chat?a=b,c', 'postgres://u:p@two:5433/chat?a=b,c', 'postgres://u:p@[::1]/chat?a=b,c']],
  ['postgresql://one,two/chat', ['postgresql://one/chat', 'postgresql://two/chat']],
  ['postgres://u,x:p,y@one,two/a,b', ['postgres://u,x:p,y@one/a,b', 'postgres://u,x:p,y@two/a,b']],
  ['postgres:///chat?host=/var/run', ['postgres:///chat?host=/var/run']],
])('the hosts of %s', (url, expected) => {
  expect(eachHost({ DATABASE_URL: url, PGHOST: 'not,these' }).map(({ DATABASE_URL }) => DATABASE_URL)).toEqual(expected);
});

test.each([
  [{ PGHOST: 'one' }, [['one', undefined]]],
  [{ PGHOST: 'one,two' }, [['one', ''], ['two', '']]],
  [{ PGHOST: 'one,two', PGPORT: '5433' }, [['one', '5433'], ['two', '5433']]],
  [{ PGHOST: 'one,two', PGPORT: '5433,5434' }, [['one', '5433'], ['two', '5434']]],
])('the hosts of %j', (environment, expected) => {
  expect(eachHost(environment).map(({ PGHOST, PGPORT }) => [PGHOST, PGPORT])).toEqual(expected);
});

test('a host is named without user and password', () => {
  expect(eachHost({ DATABASE_URL: 'postgres://u:geheim@one:5432,two/chat' }).map(hostName)).toEqual(['one:5432', 'two']);
  expect(eachHost({ PGHOST: 'one,two', PGPORT: '1,2' }).map(hostName)).toEqual(['one:1', 'two:2']);
});

test('a list of hosts is a good DATABASE_URL; a bad one in it, and the wish for a standby, are faults', () => {
  expect(() => databaseConfig({ DATABASE_URL: 'postgres://u:p@one:5432,two:5433/chat?target_session_attrs=read-write' })).not.toThrow();
  expect(() => databaseConfig({ DATABASE_URL: 'postgres://u:geheim@one:5432,two:x/chat' })).toThrow(/DATABASE_URL: given \(hidden\); accepted: a URL like/u);
  expect(() => databaseConfig({ DATABASE_URL: 'postgres://u:geheim@one,two/chat?target_session_attrs=standby' })).toThrow(/DATABASE_URL: given \(hidden\); accepted: target_session_attrs: one of: any, read-write, primary/u);
});
