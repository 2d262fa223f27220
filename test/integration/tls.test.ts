import { chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectionConfig } from '../../src/database.js';
import { startPostgres, type PostgresServer } from '../../src/demo/postgres.js';
import { createAuthority, type Certificate } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';

/** A server with TLS, whose certificate is for `localhost` alone; beside it files of an authority that signed it, of one that did not, and of a client. */
let server: PostgresServer;
let folder: string;
let files: { readonly authority: string; readonly stranger: string; readonly client: Certificate; readonly unknownClient: Certificate };

/** The server reads its files as its own account. */
async function put(name: string, text: string): Promise<void> {
  const path = join(server.dataDir, name);
  const { uid, gid } = await stat(server.dataDir);
  await writeFile(path, text, { mode: 0o600 });
  if (process.getuid?.() === 0) await chown(path, uid, gid);
}

async function save(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

async function admin(...statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: server.url(), ssl: false });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

async function connect(parameters: Readonly<Record<string, string>>, { host = 'localhost', user = 'postgres' } = {}): Promise<{ ssl: boolean; dn: string | null }> {
  const url = new URL(server.url());
  url.hostname = host;
  url.username = user;
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const client = new Client(await connectionConfig({ DATABASE_URL: url.href }, 'test'));
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ ssl: boolean; dn: string | null }>('SELECT ssl, client_dn AS dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    return rows[0] ?? { ssl: false, dn: null };
  } finally {
    // Not waited for: of a connection that the server has broken off meanwhile the driver's promise can stay open.
    client.end().catch(() => undefined);
  }
}

const encrypted = { ssl: true, dn: null };
const plain = { ssl: false, dn: null };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slackchat-bridge-tls-'));
  const [authority, stranger] = await Promise.all([createAuthority('authority'), createAuthority('stranger')]);
  const own = await authority.issue(['localhost']);
  const client = async (from: typeof authority): Promise<Certificate> => {
    const { cert, key } = await from.issue(['visitor']);
    return { cert: await save(`${from === authority ? 'own' : 'other'}.crt`, cert), key: await save(`${from === authority ? 'own' : 'other'}.key`, key) };
  };
  files = {
    authority: await save('authority.crt', authority.cert),
    stranger: await save('stranger.crt', stranger.cert),
    client: await client(authority),
    unknownClient: await client(stranger),
  };
  server = await startPostgres();
  await put('server.crt', own.cert);
  await put('server.key', own.key);
  await put('root.crt', authority.cert);
  const rules = await readFile(join(server.dataDir, 'pg_hba.conf'), 'utf8');
  await put('pg_hba.conf', `hostssl all visitor all cert\nhost all visitor all reject\nhostssl all secure all scram-sha-256\nhost all secure all reject\n${rules}`);
  const password = new URL(server.url()).password;
  await admin('CREATE ROLE visitor LOGIN', `CREATE ROLE secure LOGIN PASSWORD '${password}'`, 'ALTER SYSTEM SET ssl = on', "ALTER SYSTEM SET ssl_ca_file = 'root.crt'", 'SELECT pg_reload_conf()');
  await eventually(async () => expect(await connect({ sslmode: 'prefer' })).toEqual(encrypted));
});

afterAll(async () => {
  await server.dispose();
  await rm(folder, { recursive: true });
});

describe('sslmode', () => {
  test('disable goes without, prefer and allow with TLS where the server has it, whoever signed its certificate', async () => {
    expect(await connect({ sslmode: 'disable' })).toEqual(plain);
    for (const sslmode of ['prefer', 'allow']) expect(await connect({ sslmode, sslrootcert: files.stranger })).toEqual(encrypted);
  });

  test('require encrypts, and checks who signed where a root certificate is given, as libpq does', async () => {
    expect(await connect({ sslmode: 'require' })).toEqual(encrypted);
    expect(await connect({ sslmode: 'require', sslrootcert: files.authority }, { host: '127.0.0.1' })).toEqual(encrypted);
    await expect(connect({ sslmode: 'require', sslrootcert: files.stranger })).rejects.toThrow(/certificate/u);
  });

  test('verify-ca checks who signed, and not whose it is', async () => {
    expect(await connect({ sslmode: 'verify-ca', sslrootcert: files.authority }, { host: '127.0.0.1' })).toEqual(encrypted);
    await expect(connect({ sslmode: 'verify-ca', sslrootcert: files.stranger })).rejects.toThrow(/certificate/u);
    // Without a root certificate those that the runtime trusts count, and none of them signed it.
    await expect(connect({ sslmode: 'verify-ca' })).rejects.toThrow(/certificate/u);
  });

  test('verify-full checks both', async () => {
    expect(await connect({ sslmode: 'verify-full', sslrootcert: files.authority })).toEqual(encrypted);
    await expect(connect({ sslmode: 'verify-full', sslrootcert: files.authority }, { host: '127.0.0.1' })).rejects.toThrow(/127\.0\.0\.1/u);
    await expect(connect({ sslmode: 'verify-full', sslrootcert: files.stranger })).rejects.toThrow(/certificate/u);
    await expect(connect({ sslmode: 'verify-full', sslrootcert: 'system' })).rejects.toThrow(/certificate/u);
  });

  test('a server that insists on TLS gets it by default, and refuses who goes without', async () => {
    expect(await connect({}, { user: 'secure' })).toEqual(encrypted);
    await expect(connect({ sslmode: 'disable' }, { user: 'secure' })).rejects.toThrow(/pg_hba\.conf/u);
  });
});

describe('a client certificate', () => {
  test('lets a role in whose name it bears', async () => {
    const { ssl, dn } = await connect({ sslmode: 'verify-full', sslrootcert: files.authority, sslcert: files.client.cert, sslkey: files.client.key }, { user: 'visitor' });
    expect({ ssl, dn }).toEqual({ ssl: true, dn: '/CN=visitor' });
    // Also where the server's own is not checked.
    expect(await connect({ sslcert: files.client.cert, sslkey: files.client.key }, { user: 'visitor' })).toEqual({ ssl: true, dn: '/CN=visitor' });
  });

  test('is needed where the server asks for one, and has to be signed by whom it trusts', async () => {
    await expect(connect({ sslmode: 'require' }, { user: 'visitor' })).rejects.toThrow(/client certificate/u);
    await expect(connect({ sslmode: 'require', sslcert: files.unknownClient.cert, sslkey: files.unknownClient.key }, { user: 'visitor' })).rejects.toThrow();
  });
});

test('a file that cannot be read is named, and an unknown mode is refused', async () => {
  await expect(connect({ sslmode: 'verify-full', sslrootcert: '/no/such/file' })).rejects.toThrow('sslrootcert: the file /no/such/file cannot be read');
  await expect(connect({ sslmode: 'always' })).rejects.toThrow('sslmode: given "always"; accepted: one of: disable');
});

test('a server without TLS: prefer goes without, require and more do not', async () => {
  const bare = await startPostgres();
  try {
    const open = async (sslmode: string): Promise<void> => {
      const client = new Client(await connectionConfig({ DATABASE_URL: `${bare.url()}?sslmode=${sslmode}` }, 'test'));
      client.on('error', () => undefined);
      try {
        await client.connect();
      } finally {
        await client.end().catch(() => undefined);
      }
    };
    await open('prefer');
    for (const sslmode of ['require', 'verify-ca', 'verify-full']) await expect(open(sslmode)).rejects.toThrow(/does not support SSL/u);
  } finally {
    await bare.dispose();
  }
});
