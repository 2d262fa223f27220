import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import pg, { type ClientConfig } from 'pg';
import type { Environment } from './config.js';
import { ConfigurationError, errorMessage, isConfigurationFault, NoPrimaryError } from './errors.js';
import { eachHost, hostName } from './hosts.js';

const SSL_PARAMETERS = ['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'uselibpqcompat'] as const;
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
type SslMode = (typeof SSL_MODES)[number];

/**
 * How to connect; of several hosts to the first that takes writes now.
 * @throws {ConfigurationError} for an unknown mode or a certificate that cannot be read
 * @throws {NoPrimaryError} when none of several hosts takes writes
 */
export async function connectionConfig(environment: Environment, applicationName: string): Promise<ClientConfig> {
  const hosts = eachHost(environment);
  const [only] = hosts;
  if (only !== undefined && hosts.length === 1) return hostConfig(only, applicationName);
  const faults: string[] = [];
  let refused: Error | null = null;
  for (const host of hosts) {
    try {
      const config = await hostConfig(host, applicationName);
      if (await takesWrites(config)) return config;
      faults.push(`${hostName(host)} is a standby`);
    } catch (error) {
      if (error instanceof ConfigurationError) throw error;
      if (isConfigurationFault(error) && error instanceof Error) refused ??= error;
      faults.push(`${hostName(host)}: ${errorMessage(error)}`);
    }
  }
  if (refused !== null) throw refused;
  throw new NoPrimaryError(`no host takes writes: ${faults.join('; ')}`);
}

/** Where the stream and the pool's sessions go: of several hosts, the one that takes writes. */
export class Primary {
  readonly #environment: Environment;
  readonly #applicationName: string;
  #config: ClientConfig;

  private constructor(environment: Environment, applicationName: string, config: ClientConfig) {
    this.#environment = environment;
    this.#applicationName = applicationName;
    this.#config = config;
  }

  /** @throws what `connectionConfig` throws */
  static async find(environment: Environment, applicationName: string): Promise<Primary> {
    return new Primary(environment, applicationName, await connectionConfig(environment, applicationName));
  }

  /** As it was found last. */
  get config(): ClientConfig {
    return this.#config;
  }

  /** Looks again, where there are several hosts. */
  async locate(): Promise<ClientConfig> {
    if (eachHost(this.#environment).length > 1) this.#config = await connectionConfig(this.#environment, this.#applicationName);
    return this.#config;
  }
}

async function takesWrites(config: ClientConfig): Promise<boolean> {
  const client = new pg.Client({ ...config, connectionTimeoutMillis: 5_000, query_timeout: 5_000 });
  // What broke shows in the query.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_catalog.pg_is_in_recovery() AS standby');
    return rows[0]?.standby === false;
  } finally {
    // Not waited for: of a connection that the server breaks off meanwhile the driver's promise can stay open for ever.
    client.end().catch(() => undefined);
  }
}

/**
 * How to connect to one host: DATABASE_URL, or the PG* variables that the driver reads by itself, with libpq's
 * meaning of the TLS modes, which the driver does not have (it takes 'require' for 'verify-full' and
 * knows no 'prefer').
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS
 */
async function hostConfig(environment: Environment, applicationName: string): Promise<ClientConfig> {
  const given = environment['DATABASE_URL'];
  const url = given === undefined || given === '' ? null : new URL(given);
  const parameter = (key: string): string | undefined => url?.searchParams.get(key) ?? (environment[`PG${key.toUpperCase()}`] || undefined);

  const mode = sslMode(parameter('sslmode') ?? 'prefer');
  const certificate = (key: string): string | undefined => readCertificate(key, parameter(key));
  const ca = certificate('sslrootcert');
  const cert = certificate('sslcert');
  const key = certificate('sslkey');
  const options = url?.searchParams.get('options') ?? undefined;
  // The driver lets the URL win over everything else, so what is decided here is taken out of it.
  for (const name of [...SSL_PARAMETERS, 'options', 'target_session_attrs']) url?.searchParams.delete(name);

  const config: ClientConfig = { application_name: applicationName, connectionTimeoutMillis: 10_000, ...(options === undefined ? {} : { options }) };
  const host = url?.searchParams.get('host') ?? (url === null ? environment['PGHOST'] : decodeURIComponent(url.hostname)) ?? 'localhost';
  const port = Number((url === null ? environment['PGPORT'] : url.port) || 5432);
  if (url !== null) config.connectionString = url.toString();
  // The driver reads PGHOST too, and takes a list for one name.
  else if (environment['PGHOST'] !== undefined) Object.assign(config, { host, port });
  if (mode === 'disable' || host.startsWith('/')) return { ...config, ssl: false };
  if (mode === 'allow' || mode === 'prefer') {
    // libpq tries TLS and goes on without it where the server has none.
    const offered = await serverOffersTls(host, port);
    return { ...config, ssl: offered ? { rejectUnauthorized: false, ...pair(cert, key) } : false };
  }
  const verify = mode === 'verify-ca' || mode === 'verify-full' || ca !== undefined;
  return {
    ...config,
    ssl: {
      rejectUnauthorized: verify,
      ...(ca === undefined ? {} : { ca }),
      ...pair(cert, key),
      // verify-ca checks who signed the certificate, not whose it is
      ...(verify && mode !== 'verify-full' ? { checkServerIdentity: () => undefined } : {}),
    },
  };
}

function sslMode(text: string): SslMode {
  const mode = SSL_MODES.find((known) => known === text);
  if (mode === undefined) throw new ConfigurationError(`sslmode: given ${JSON.stringify(text)}; accepted: one of: ${SSL_MODES.join(', ')}`);
  return mode;
}

function readCertificate(name: string, path: string | undefined): string | undefined {
  // libpq's 'system' means the certificates that the runtime trusts anyway.
  if (path === undefined || path === 'system') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new ConfigurationError(`${name}: the file ${path} cannot be read`);
  }
}

function pair(cert: string | undefined, key: string | undefined): { cert?: string; key?: string } {
  return { ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) };
}

/** https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
function serverOffersTls(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const finish = (offered: boolean): void => {
      socket.destroy();
      resolve(offered);
    };
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no answer from ${host}:${port} within 5 s`)));
    // Not the same as a server without TLS: the caller tries again.
    socket.once('error', reject);
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])));
    socket.once('data', (answer) => finish(answer[0] === 0x53 /* 'S' */));
  });
}
