import { createServer, type Server } from 'node:http';
import { Command, InvalidArgumentError } from 'commander';
import { ConfigurationError } from '../errors.js';
import { StatusError } from '../receiver/errors.js';
import { handler } from '../receiver/handler.js';
import { delay } from '../time.js';
import { inJson, inWords } from './arrivals.js';
import { environmentWith, envFileOption } from './environment.js';

interface Failing {
  readonly status: number;
  readonly share: number;
}

interface Options {
  readonly port: number;
  readonly host: string;
  readonly token?: string;
  readonly secret?: string;
  readonly json?: true;
  readonly fail?: Failing;
  readonly delay: number;
  readonly envFile?: string;
}

export function listenCommand(): Command {
  return new Command('listen')
    .description('a receiver for development: answers the challenge, checks token and signature, prints what arrives')
    .option('--port <port>', 'port to listen on; 0 picks a free one', toPort, 4800)
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--token <token>', 'the token to accept (default: WEBHOOK_VERIFICATION_TOKEN; any, when that is not set)', toToken)
    .option('--secret <whsec>', 'also check the signature with this secret; several in one argument, separated by spaces')
    .option('--json', 'print each request as one line of JSON, with all of its payload')
    .option('--fail <status[:share]>', 'answer with this status, or only a share of the notifications: 500:0.3', toFailing)
    .option('--delay <ms>', 'answer so much later', toMilliseconds, 0)
    .addOption(envFileOption())
    .action(async (options: Options) => {
      if (options.secret !== undefined) checkSecret(options.secret);
      const fromEnvironment = environmentWith(options.envFile)['WEBHOOK_VERIFICATION_TOKEN'];
      // An empty variable counts as not set.
      const token = options.token ?? (fromEnvironment === '' ? undefined : fromEnvironment);
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
  const { fail } = options;
  const show = options.json === true ? inJson : inWords;
  const handle = handler({
    token: token ?? null,
    ...(options.secret === undefined ? {} : { secret: options.secret }),
    async onNotification() {
      await delay(options.delay);
      if (fail !== undefined && Math.random() < fail.share) throw new StatusError(fail.status, 'as --fail asks for');
    },
    onResult: (result) => print(show(result, new Date())),
  });
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => resolve());
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}/`;
  print(options.json === true ? JSON.stringify({ listening: url }) : `listening on ${url}`);
  return server;
}

function toPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/u.test(text) || port > 65_535) throw new InvalidArgumentError('a port number from 0 to 65535');
  return port;
}

function toToken(text: string): string {
  if (text === '') throw new InvalidArgumentError('a text that is not empty');
  return text;
}

/** Not a parser of the option: the error of one would show the secret. */
function checkSecret(text: string): void {
  if (!/^whsec_[A-Za-z0-9+/]+=*( whsec_[A-Za-z0-9+/]+=*)*$/u.test(text)) throw new ConfigurationError('--secret must be whsec_ and base64, several separated by a space');
}

function toFailing(text: string): Failing {
  const [, status, share = '1'] = /^([45]\d\d)(?::(0(?:\.\d+)?|1(?:\.0+)?|\.\d+))?$/u.exec(text) ?? [];
  if (status === undefined) throw new InvalidArgumentError('a status from 400 to 599 and, after a colon, a share from 0 to 1: 500:0.3');
  return { status: Number(status), share: Number(share) };
}

function toMilliseconds(text: string): number {
  if (!/^\d{1,7}$/u.test(text)) throw new InvalidArgumentError('a number of milliseconds');
  return Number(text);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
