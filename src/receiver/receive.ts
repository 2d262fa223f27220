import { createHash, timingSafeEqual } from 'node:crypto';
import type { Resolved } from './completeness.js';
import { PayloadError, StatusError } from './errors.js';
import { headerOf, type RequestHeaders } from './headers.js';
import { parse, parseJson } from './parse.js';
import type { ChannelNotification, MessageNotification, Notification, Payload, RepublishRequest, UnpublishRequest } from './payloads.js';
import { SeenInMemory, type SeenStore } from './seen.js';
import { Turns } from './turns.js';
import { keysOf, verifySignature } from './verify.js';

/** What is known of a request beside its payload. */
export interface Context {
  /** the `webhook-id`: the same whenever this notification is sent; null: it was sent without one */
  readonly id: string | null;
  readonly headers: RequestHeaders;
  /** when it had arrived in full, milliseconds since 1970: what was read from the chat since then is new enough */
  readonly receivedAt: number;
  /** position in the WAL of the commit that caused it, '0/16B3748'; null: it was sent without one */
  readonly commitLsn: string | null;
  /** it was told before, and is told once more as it is now, because somebody asked for a replay */
  readonly replay: boolean;
  /** This endpoint has received all that it was to be told of commits from `since` on and before `lsn`: for `Completeness`. null: nothing is known. */
  readonly resolved: Resolved | null;
}

/** What came of one request. */
export interface Result {
  readonly status: number;
  /** why it was refused or failed; empty when it was not */
  readonly reason: string;
  /** it was dealt with before, and is only acknowledged */
  readonly repeat: boolean;
  /** null: it could not be read, or came from somebody else */
  readonly payload: Payload | null;
  readonly id: string | null;
  /** it was sent because somebody asked for a replay */
  readonly replay: boolean;
  /** what the function that does the work threw */
  readonly error?: unknown;
}

type Work<P> = (payload: P, context: Context) => unknown;

export interface HandlerOptions {
  /** what the bridge sends as `token`; several while one is replaced; null: any */
  readonly token?: string | readonly string[] | null;
  /** the endpoint's `secret`: then a request that is not signed with it is refused */
  readonly secret?: string | readonly string[];
  /** how far `webhook-timestamp` may be off: 300 */
  readonly toleranceSeconds?: number;
  /** larger bodies are refused with 413: 64 MiB */
  readonly maxBytes?: number;
  /** which notifications were dealt with: the last 100,000 in this process */
  readonly seen?: SeenStore;
  /** what is worked on one at a time: each message, or each channel */
  readonly ordering?: 'message' | 'channel';
  /** The answer waits for these; when one throws, it is 500, and the bridge sends the notification again. */
  readonly onMessage?: Work<MessageNotification>;
  readonly onChannel?: Work<ChannelNotification>;
  readonly onRepublish?: Work<RepublishRequest>;
  readonly onUnpublish?: Work<UnpublishRequest>;
  /** every kind that has no function of its own; without it they are only acknowledged */
  readonly onNotification?: Work<Notification>;
  /** told of every request that was answered; without it, what was thrown is a warning of the process */
  readonly onResult?: (result: Result) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface IncomingRequest {
  readonly method: string;
  readonly headers: RequestHeaders;
  /** null: larger than `maxBytes` */
  readonly body: Uint8Array | object | null;
}

export const MAX_BYTES = 64 * 1024 * 1024;

/** What a receiver does with a request, whatever server it came through. */
export function receiving(options: HandlerOptions): (request: IncomingRequest) => Promise<Answer> {
  const { token = null, secret, ordering = 'message', seen = new SeenInMemory() } = options;
  if (options.token === undefined && secret === undefined) throw new TypeError('handler() needs a token or a secret, or token: null to accept requests of anybody');
  if (secret !== undefined && keysOf(secret).length === 0) throw new TypeError('the secret is empty');
  const tokens = token === null ? null : typeof token === 'string' ? [token] : token;
  if (tokens !== null && (tokens.length === 0 || tokens.includes(''))) throw new TypeError('the token is empty');
  const turns = new Turns();

  function check({ method, headers, body }: IncomingRequest): Payload {
    if (method !== 'POST') throw new StatusError(405, `${method} instead of POST`);
    if (body === null) throw new StatusError(413, 'the body is too large');
    if (secret !== undefined) {
      if (!(body instanceof Uint8Array)) throw new Error('the signature is over the body as it came, but something has parsed it before: give the handler the raw body');
      const fault = verifySignature(headers, body, secret, new Date(), options.toleranceSeconds);
      if (fault !== null) throw new StatusError(403, fault);
    }
    return read(body, tokens);
  }

  async function work(payload: Notification, context: Context): Promise<boolean> {
    const { id } = context;
    if (id !== null && (await seen.has(id))) return true;
    await workOf(options, payload, context);
    try {
      if (id !== null) await seen.add(id);
    } catch (error) {
      // The work is done: to ask for it again would do it twice.
      warn(error);
    }
    return false;
  }

  /** @returns the answer, once `onResult` was told */
  function finish(answer: Answer, result: Omit<Result, 'status'>): Answer {
    try {
      if (options.onResult !== undefined) options.onResult({ status: answer.status, ...result });
      else if (result.error !== undefined) warn(result.error);
    } catch (error) {
      warn(error);
    }
    return answer;
  }

  return async (request) => {
    const receivedAt = Date.now();
    const id = headerOf(request.headers, 'webhook-id') ?? null;
    const replay = headerOf(request.headers, 'slackchat-replay') === 'true';
    let payload: Payload | null = null;
    try {
      payload = check(request);
      if (payload.type === 'url_verification') return finish(challengeAnswer(payload.challenge), { reason: '', repeat: false, payload, id, replay });
      const notification = payload;
      const repeat = await turns.take(turnOf(notification, ordering), () => work(notification, { id, headers: request.headers, receivedAt, replay, ...positions(request.headers) }));
      return finish({ status: 200, headers: {}, body: '' }, { reason: '', repeat, payload, id, replay });
    } catch (error) {
      const answer = refusal(error);
      const reason = error instanceof Error ? error.message : String(error);
      return finish(answer, { reason, repeat: false, payload, id, replay, ...(payload !== null || answer.status === 500 ? { error } : {}) });
    }
  };
}

const PLAIN = { 'content-type': 'text/plain; charset=utf-8' };

function challengeAnswer(challenge: string): Answer {
  return { status: 200, headers: { ...PLAIN, 'x-content-type-options': 'nosniff' }, body: challenge };
}

function refusal(error: unknown): Answer {
  if (error instanceof PayloadError) return { status: 400, headers: PLAIN, body: `${error.message}\n` };
  if (!(error instanceof StatusError)) return { status: 500, headers: PLAIN, body: 'the notification could not be processed\n' };
  return { status: error.status, headers: error.status === 405 ? { ...PLAIN, allow: 'POST' } : PLAIN, body: `${error.message}\n` };
}

/** The token goes first: somebody without it is told nothing about what a body has to be. */
function read(body: Uint8Array | object, tokens: readonly string[] | null): Payload {
  const json: unknown = body instanceof Uint8Array ? parseJson(body) : body;
  if (typeof json !== 'object' || json === null) throw new PayloadError('', 'the body is not a JSON object');
  if (tokens !== null && !('token' in json && typeof json.token === 'string' && isOneOf(json.token, tokens))) throw new StatusError(403, 'the token is wrong');
  return parse(json);
}

/** In the same time however much of it is right. */
function isOneOf(given: string, tokens: readonly string[]): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const hashed = digest(given);
  return tokens.map((token) => timingSafeEqual(hashed, digest(token))).includes(true);
}

function turnOf(payload: Notification, ordering: 'message' | 'channel'): string {
  // A message keeps its timestamp when it moves to another channel.
  const timestamp = ordering === 'message' && payload.type === 'update_notification' ? payload.message?.timestamp : undefined;
  // With CHANNEL_ID_FORMAT=hex some kinds have hyphens and some have none.
  return timestamp === undefined ? `channel ${payload.channel.replaceAll('-', '')}` : `message ${timestamp}`;
}

async function workOf(options: HandlerOptions, payload: Notification, context: Context): Promise<void> {
  const rest = options.onNotification;
  switch (payload.type) {
    case 'update_notification':
      if (isAboutMessage(payload)) await (options.onMessage ?? rest)?.(payload, context);
      else await (options.onChannel ?? rest)?.(payload, context);
      return;
    case 'republish_request':
      await (options.onRepublish ?? rest)?.(payload, context);
      return;
    case 'unpublish_request':
      await (options.onUnpublish ?? rest)?.(payload, context);
  }
}

function isAboutMessage(payload: MessageNotification | ChannelNotification): payload is MessageNotification {
  return payload.message !== undefined && payload.message !== null;
}

function positions(headers: RequestHeaders): Pick<Context, 'commitLsn' | 'resolved'> {
  const [since, lsn] = [headerOf(headers, 'slackchat-resolved-since'), headerOf(headers, 'slackchat-resolved-lsn')];
  const [, index, count] = /^(\d{1,2})\/(\d{1,2})$/u.exec(headerOf(headers, 'slackchat-shard') ?? '') ?? [];
  const shard = index === undefined ? null : { index: Number(index), count: Number(count) };
  return { commitLsn: headerOf(headers, 'slackchat-commit-lsn') ?? null, resolved: since === undefined || lsn === undefined ? null : { since, lsn, shard } };
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)));
}
