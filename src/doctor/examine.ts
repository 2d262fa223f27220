import type pg from 'pg';
import { ConfigurationError, InstallationError } from '../errors.js';
import type { TableMapping } from '../mapping.js';
import type { Names } from '../setup/names.js';
import { accessChecks, roleOf } from './access-checks.js';
import { failure, ok, type Check } from './check.js';
import { connectionOf, openSession, tryReplication, unreachable } from './connect.js';
import { endpointChecks, type Application } from './endpoint-checks.js';
import type { Platform } from './platform.js';
import { serverChecks } from './server-checks.js';
import { streamChecks } from './stream-checks.js';
import { survey } from './survey.js';

export interface Examined {
  readonly platform: Platform | null;
  readonly checks: readonly Check[];
}

export interface Subject {
  readonly connection: () => Promise<pg.ClientConfig>;
  readonly names: Names;
  readonly app: TableMapping;
  readonly application: Application;
}

/**
 * Looks at the database with the privileges of the role that it is given; changes nothing.
 * @throws {ConfigurationError} when the connection is described wrongly
 */
export async function examine({ connection, names, app, application }: Subject): Promise<Examined> {
  let where = 'the server';
  let client: pg.Client | null = null;
  try {
    const config = await connection();
    client = openSession(config);
    const way = connectionOf(client, config);
    where = way.host.startsWith('/') ? way.host : `${way.host}:${way.port}`;
    await client.connect();
    const found = await survey(client, names, app);
    const role = roleOf(found);
    const streaming = found.slot.known && found.slot.value?.active === true;
    const checks = [
      ok('connection', `to ${where}, database "${client.database ?? ''}", as ${role}${found.platform === 'self-managed' ? '' : `; this is ${found.platform}`}`),
      ...serverChecks(found, way),
      await tryReplication(config, role, found.platform, streaming),
      ...accessChecks(found),
      ...streamChecks(found),
      ...endpointChecks(found, application),
    ];
    return { platform: found.platform, checks };
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    if (error instanceof InstallationError) return { platform: null, checks: [failure('installation', error.message, 'npm ci, or install the package anew')] };
    return { platform: null, checks: [unreachable(error, where)] };
  } finally {
    await client?.end().catch(() => undefined);
  }
}

/** A configuration that says where the database is, but not all else rightly. */
export function settingsCheck(fault: ConfigurationError | null): Check {
  return fault === null
    ? ok('settings', 'all are accepted')
    : failure('settings', fault.message.replaceAll(/\n\s*/gu, ' ').trim(), 'docs/configuration.md lists every setting');
}
