import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '../../src/demo/postgres.js';

/** The PostgreSQL that one test run uses. */
export interface PostgresSource {
  /** "embedded", "container postgres:18", "TEST_DATABASE_URL": what the run prints. */
  readonly label: string;
  /** Of a superuser, to the maintenance database. */
  readonly url: string;
  /** The server was there before us and stays: leave nothing behind in it. */
  readonly shared: boolean;
  stop(): Promise<void>;
}

const PULL_AND_START_MS = 120_000;

/** TEST_DATABASE_URL, else what TEST_POSTGRES pins, else a container where Docker can give one, else the embedded server. */
export async function choosePostgres(env: NodeJS.ProcessEnv): Promise<PostgresSource> {
  const url = env['TEST_DATABASE_URL'] ?? '';
  if (url !== '') return { label: 'TEST_DATABASE_URL', url, shared: true, stop: async () => undefined };
  const pinned = env['TEST_POSTGRES'] ?? '';
  switch (pinned) {
    case 'embedded':
      return embedded(env);
    case 'container':
      return container(env).catch((error: unknown) => {
        throw new Error(`TEST_POSTGRES=container, and there is none: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      });
    case '':
      break;
    default:
      throw new Error(`TEST_POSTGRES is "${pinned}": it can be "embedded" or "container"`);
  }
  // Binaries that were named are meant to be used.
  if ((env['TEST_POSTGRES_BIN_DIR'] ?? '') === '' && (await engineAnswers(env))) {
    try {
      return await container(env);
    } catch (error) {
      process.stdout.write(`no container for the tests (${error instanceof Error ? error.message : String(error)}): using the embedded PostgreSQL\n`);
    }
  }
  return embedded(env);
}

async function embedded(env: NodeJS.ProcessEnv): Promise<PostgresSource> {
  const binDir = env['TEST_POSTGRES_BIN_DIR'] ?? '';
  const server = await startPostgres(binDir === '' ? {} : { binDir });
  return { label: binDir === '' ? 'embedded' : `embedded (${binDir})`, url: server.url(), shared: false, stop: async () => server.dispose() };
}

async function container(env: NodeJS.ProcessEnv): Promise<PostgresSource> {
  const { GenericContainer } = await import('testcontainers');
  const image = env['TEST_POSTGRES_IMAGE'] ?? 'postgres:18';
  const password = randomBytes(16).toString('hex');
  const settings = ['wal_level=logical', 'max_wal_senders=50', 'max_replication_slots=50', 'max_connections=200', 'fsync=off'];
  const starting = new GenericContainer(image)
    .withEnvironment({ POSTGRES_PASSWORD: password })
    .withCommand(['postgres', ...settings.flatMap((setting) => ['-c', setting])])
    .withExposedPorts(5432)
    .start();
  const limit = new AbortController();
  const started = await Promise.race([starting, sleep(PULL_AND_START_MS, undefined, { signal: limit.signal, ref: false }).catch(() => undefined)]);
  limit.abort();
  if (started === undefined) {
    // Whatever comes of it after all is not wanted any more.
    starting.then(async (late) => late.stop()).catch(() => undefined);
    throw new Error(`${image} was not there within ${PULL_AND_START_MS / 1000} s`);
  }
  const url = `postgres://postgres:${password}@${started.getHost()}:${started.getMappedPort(5432)}/postgres`;
  return {
    label: `container ${image}`,
    url,
    shared: false,
    stop: async () => {
      await started.stop();
    },
  };
}

/** Whether anything that speaks HTTP is where Docker's engine would be. */
async function engineAnswers(env: NodeJS.ProcessEnv): Promise<boolean> {
  const host = env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  if (!URL.canParse(host)) return false;
  const { hostname, port } = new URL(host);
  const where = host.startsWith('unix://') ? { socketPath: host.slice('unix://'.length) } : { host: hostname, port: port === '' ? '2375' : port };
  return new Promise((resolve) => {
    const ping = request({ ...where, path: '/_ping', timeout: 1000 }, (response) => {
      response.resume();
      resolve(true);
    });
    ping.on('timeout', () => ping.destroy());
    ping.on('error', () => resolve(false));
    ping.end();
  });
}
