import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { verifySignature } from '../receiver/verify.js';
import { environmentWith, envFileOption } from './environment.js';

const payload = z.looseObject({
  token: z.string().optional(),
  type: z.string(),
  challenge: z.string().optional(),
  channel: z.string().optional(),
  update_type: z.string().nullish(),
  message: z.looseObject({}).nullish(),
});

interface Options {
  readonly port: number;
  readonly host: string;
  readonly token?: string;
  readonly secret?: string;
  readonly envFile?: string;
}

export function listenCommand(): Command {
  return new Command('listen')
    .description('a receiver for development: answers the challenge, checks token and signature, prints what arrives')
    .option('--port <port>', 'port to listen on; 0 picks a free one', toPort, 4800)
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--token <token>', 'the token to accept (default: WEBHOOK_VERIFICATION_TOKEN; any, when that is not set)')
    .option('--secret <whsec>', 'also check the signature with this secret')
    .addOption(envFileOption())
    .action(async (options: Options) => {
      const token = options.token ?? environmentWith(options.envFile)['WEBHOOK_VERIFICATION_TOKEN'];
      const server = await listen(options, token);
      const stop = (): void => {
        server.closeAllConnections();
        server.close();
      };
      process.once('SIGINT', stop);
      process.once('SIGTERM', stop);
      await new Promise<void>((resolve) => {
        server.once('close', () => resolve());
      });
    });
}

async function listen(options: Options, token: string | undefined): Promise<Server> {
  const server = createServer((request, response) => {
    receive(request, response, options, token).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => resolve());
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  print(`listening on http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}/`);
  return server;
}

async function receive(request: IncomingMessage, response: ServerResponse, options: Options, token: string | undefined): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const raw = Buffer.concat(chunks);
  const at = new Date().toISOString().slice(11, 23);
  const refuse = (status: number, why: string): void => {
    print(`${at} refused with ${status}: ${why}`);
    response.writeHead(status).end();
  };
  const parsed = payload.safeParse(parseJson(raw.toString('utf8')));
  if (request.method !== 'POST' || !parsed.success) {
    refuse(400, request.method === 'POST' ? 'the body is not a webhook payload' : `${request.method ?? ''} instead of POST`);
    return;
  }
  const { token: given, type, challenge, ...rest } = parsed.data;
  if (token !== undefined && given !== token) {
    refuse(403, `wrong token for ${type}`);
    return;
  }
  if (type === 'url_verification') {
    print(`${at} url_verification: challenge answered`);
    response.writeHead(200, { 'content-type': 'text/plain' }).end(challenge ?? '');
    return;
  }
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const signed = { 'webhook-id': header('webhook-id'), 'webhook-timestamp': header('webhook-timestamp'), 'webhook-signature': header('webhook-signature') };
  const fault = options.secret === undefined ? null : verifySignature(signed, raw, options.secret, new Date());
  if (fault !== null) {
    refuse(403, fault);
    return;
  }
  print(`${at} ${rest.update_type ?? type} channel=${rest.channel ?? ''} ${JSON.stringify(rest.message ?? {})} id=${header('webhook-id') ?? ''}`);
  response.writeHead(200).end();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/u.test(text) || port > 65_535) throw new InvalidArgumentError('a port number from 0 to 65535');
  return port;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
