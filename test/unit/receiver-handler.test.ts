import { createServer, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Signer } from '../../src/deliver/signature.js';
import { StatusError } from '../../src/receiver/errors.js';
import { handler } from '../../src/receiver/handler.js';
import type { HandlerOptions, Result } from '../../src/receiver/receive.js';
import { SeenInMemory } from '../../src/receiver/seen.js';
import { closedGate } from '../support/gate.js';
import { listenOnFreePort } from '../support/port.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const NEWER = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
const update = (timestamp: string, content: string, more = {}): Record<string, unknown> => ({
  token: 't', type: 'update_notification', channel: 'c', chat_type: 'x', update_type: 'message_changed', message: { timestamp, content }, ...more,
});

/** The handler behind the web's Request and Response. */
function receiver(options: HandlerOptions): { post: (body: unknown, headers?: Record<string, string>) => Promise<{ status: number; body: string }>; results: Result[] } {
  const results: Result[] = [];
  const handle = handler({ onResult: (result) => results.push(result), ...options });
  return {
    results,
    async post(body, headers = {}) {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const response = await handle(new Request('http://receiver/', { method: 'POST', body: text, headers }));
      return { status: response.status, body: await response.text() };
    },
  };
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  const port = await listenOnFreePort(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}/`;
}

describe('the handler', () => {
  test('answers a challenge with the challenge, if the token is right', async () => {
    const { post } = receiver({ token: 't' });
    expect(await post({ token: 't', type: 'url_verification', challenge: '<abc>' })).toEqual({ status: 200, body: '<abc>' });
    expect(await post({ token: 'x', type: 'url_verification', challenge: 'abc' })).toEqual({ status: 403, body: 'the token is wrong\n' });
  });

  test('refuses a wrong or missing token with 403, whatever else is wrong, and calls nothing', async () => {
    const onNotification = vi.fn();
    const { post, results } = receiver({ token: ['t', 'newer'], onNotification });
    for (const body of [update('1', 'a', { token: 'T' }), update('1', 'a', { token: undefined }), { token: 'x', type: 'other' }, { type: 'other' }]) expect((await post(body)).status).toBe(403);
    expect(onNotification).not.toHaveBeenCalled();
    expect(results.map(({ status, payload }) => ({ status, payload }))).toEqual(Array.from({ length: 4 }, () => ({ status: 403, payload: null })));
    for (const token of ['t', 'newer']) expect((await post(update('1', 'a', { token }))).status).toBe(200);
  });

  test('must be told what it checks', () => {
    expect(() => handler({})).toThrow('a token or a secret');
    expect(() => handler({ token: '' })).toThrow('empty');
    expect(() => handler({ token: [] })).toThrow('empty');
    expect(() => handler({ secret: 'whsec_' })).toThrow('empty');
  });

  test('refuses what is not signed with one of its secrets, the challenge too', async () => {
    const { post } = receiver({ secret: [NEWER, SECRET], onNotification: () => undefined });
    const timestamp = Math.floor(Date.now() / 1000);
    const signed = (body: string, secret: string, at = timestamp): Record<string, string> => ({
      'webhook-id': 'm', 'webhook-timestamp': String(at), 'webhook-signature': new Signer(secret).sign('m', at, Buffer.from(body)),
    });
    const body = JSON.stringify(update('1', 'ü'));
    const challenge = JSON.stringify({ token: 't', type: 'url_verification', challenge: 'abc' });
    expect((await post(body, signed(body, SECRET))).status).toBe(200);
    expect((await post(challenge, signed(challenge, NEWER))).body).toBe('abc');
    expect(await post(body)).toEqual({ status: 403, body: 'the request is not signed\n' });
    expect((await post(challenge)).status).toBe(403);
    expect((await post(`${body} `, signed(body, SECRET))).status).toBe(403);
    expect((await post(body, signed(body, SECRET, timestamp - 400))).body).toMatch('five minutes');
  });

  test('answers 400 to what is no payload and to types it does not know, and says which field', async () => {
    const { post } = receiver({ token: 't' });
    expect((await post('{')).status).toBe(400);
    expect((await post('null')).status).toBe(400);
    expect(await post({ token: 't', type: 'other' })).toEqual({ status: 400, body: 'type: there is no "other"\n' });
    expect(await post(update('1', 'a', { channel: 5 }))).toEqual({ status: 400, body: 'channel: a number, not a string\n' });
  });

  test('calls the function of each kind, with the id, and acknowledges kinds that have none', async () => {
    const calls: string[] = [];
    const { post } = receiver({
      token: 't',
      onMessage: ({ message }, { id }) => calls.push(`message ${message.content ?? ''} ${id ?? ''}`),
      onChannel: ({ channel }) => calls.push(`channel ${channel}`),
      onRepublish: ({ channel_data: data }) => calls.push(`republish ${data}`),
    });
    await post(update('1', 'a'), { 'webhook-id': 'm1' });
    await post({ token: 't', type: 'update_notification', channel: 'c', chat_type: 'x' });
    await post({ token: 't', type: 'update_notification', channel: 'd', chat_type: 'x', update_type: null, message: null });
    await post({ token: 't', type: 'republish_request', channel: 'c', channel_data: '{}', chat_type: 'x' });
    expect((await post({ token: 't', type: 'unpublish_request', channel: 'c', channel_data: '{}', chat_type: 'x' })).status).toBe(200);
    expect(calls).toEqual(['message a m1', 'channel c', 'channel d', 'republish {}']);
  });

  test('answers only when the work is done, 500 when it fails, and the status that it asks for', async () => {
    const gate = closedGate();
    const done = vi.fn();
    const { post, results } = receiver({
      token: 't',
      async onMessage({ message }) {
        if (message.content === 'wait') await gate.opened;
        if (message.content === 'gone') throw new StatusError(410, 'no more');
        if (message.content === 'fail') throw new Error('secret detail');
        done();
      },
    });
    const answered = post(update('1', 'wait'));
    await expect(Promise.race([answered, post(update('2', 'quick')).then(() => 'the other one')])).resolves.toBe('the other one');
    expect(done).toHaveBeenCalledTimes(1);
    gate.open();
    expect((await answered).status).toBe(200);
    expect(await post(update('3', 'fail'))).toEqual({ status: 500, body: 'the notification could not be processed\n' });
    expect(await post(update('3', 'gone'))).toEqual({ status: 410, body: 'no more\n' });
    expect(results.at(-2)).toMatchObject({ status: 500, reason: 'secret detail', error: new Error('secret detail') });
    expect(() => new StatusError(200, '')).toThrow('200');
  });

  test('drops a repeat, but not of one that failed', async () => {
    let fail = true;
    const onMessage = vi.fn(() => {
      if (fail) throw new Error('not yet');
    });
    const { post, results } = receiver({ token: 't', onMessage });
    const send = async (): Promise<number> => (await post(update('1', 'a'), { 'webhook-id': 'm' })).status;
    expect(await send()).toBe(500);
    fail = false;
    expect([await send(), await send(), await send()]).toEqual([200, 200, 200]);
    expect(onMessage).toHaveBeenCalledTimes(2);
    expect(results.map(({ repeat }) => repeat)).toEqual([false, false, true, true]);
  });

  test('waits for the first of two that come at once, and drops the second only if the first succeeded', async () => {
    const gates = [closedGate(), closedGate()];
    let calls = 0;
    const { post } = receiver({
      token: 't',
      async onMessage() {
        const call = calls;
        calls += 1;
        await gates[call]?.opened;
        if (call === 0) throw new Error('the first fails');
      },
    });
    const sent = [1, 2, 3].map(async () => post(update('1', 'a'), { 'webhook-id': 'm' }));
    for (const gate of gates) gate.open();
    expect((await Promise.all(sent)).map(({ status }) => status)).toEqual([500, 200, 200]);
    expect(calls).toBe(2);
  });

  test('works on one message at a time in the order of arrival, on others meanwhile; with ordering channel on one of a channel', async () => {
    for (const [ordering, expected] of [['message', 2], ['channel', 1]] as const) {
      const gate = closedGate();
      const order: string[] = [];
      let underWay = 0;
      let most = 0;
      const { post } = receiver({
        token: 't',
        ordering,
        async onMessage({ message }) {
          underWay += 1;
          most = Math.max(most, underWay);
          await gate.opened;
          order.push(message.content ?? '');
          underWay -= 1;
        },
      });
      const sent = ['1a', '1b', '2a', '1c', '2b'].map(async (content) => post(update(content.slice(0, 1), content)));
      gate.open();
      await Promise.all(sent);
      expect(most).toBe(expected);
      expect(order.filter((content) => content.startsWith('1'))).toEqual(['1a', '1b', '1c']);
      expect(order.filter((content) => content.startsWith('2'))).toEqual(['2a', '2b']);
      if (ordering === 'channel') expect(order).toEqual(['1a', '1b', '2a', '1c', '2b']);
    }
  });

  test('asks again when the store cannot say what was seen, not when it cannot remember', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    onTestFinished(() => warned.mockRestore());
    const onMessage = vi.fn();
    const broken = (): never => {
      throw new Error('the store is away');
    };
    const send = async (seen: HandlerOptions['seen']): Promise<number> =>
      (await receiver({ token: 't', onMessage, ...(seen === undefined ? {} : { seen }) }).post(update('1', 'a'), { 'webhook-id': 'm' })).status;
    expect(await send({ has: broken, add: () => undefined })).toBe(500);
    expect(onMessage).not.toHaveBeenCalled();
    expect(await send({ has: () => false, add: broken })).toBe(200);
    expect(warned).toHaveBeenCalledWith(new Error('the store is away'));
  });

  test('an error nobody asked to be told of is a warning; an error in onResult does not spoil the answer', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    onTestFinished(() => warned.mockRestore());
    const failing = handler({ token: 't', onMessage: () => { throw new Error('work'); } });
    const telling = handler({ token: 't', onResult: () => { throw new Error('telling'); } });
    const request = (): Request => new Request('http://receiver/', { method: 'POST', body: JSON.stringify(update('1', 'a')) });
    expect((await failing(request())).status).toBe(500);
    expect((await telling(request())).status).toBe(200);
    expect(warned.mock.calls.map(([error]) => String(error))).toEqual(['Error: work', 'Error: telling']);
  });
});

test('the memory of what was seen is bounded, the oldest go first', () => {
  const seen = new SeenInMemory(3);
  for (const id of ['a', 'b', 'c', 'a', 'd']) seen.add(id);
  expect(['a', 'b', 'c', 'd'].filter((id) => seen.has(id))).toEqual(['a', 'c', 'd']);
});

describe('on node:http', () => {
  test('answers, refuses other methods, and bodies that are too large before they are read', async () => {
    const handle = handler({ token: 't', maxBytes: 1_000, onResult: () => undefined });
    const url = await serve((request, response) => void handle(request, response));
    const post = async (body: string): Promise<number> => (await fetch(url, { method: 'POST', body })).status;
    expect(await post(JSON.stringify(update('1', 'a')))).toBe(200);
    expect(await post(JSON.stringify(update('1', 'a'.repeat(1_000))))).toBe(413);
    const get = await fetch(url);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    // Without a length, in chunks.
    const body = new ReadableStream({
      start(controller) {
        for (let index = 0; index < 20; index += 1) controller.enqueue(new Uint8Array(100));
        controller.close();
      },
    });
    expect((await fetch(url, { method: 'POST', body, duplex: 'half' })).status).toBe(413);
    // The announced length is enough.
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n');
    const answer = await new Promise<string>((resolve) => { socket.once('data', (data) => resolve(data.toString())); });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /u);
    socket.destroy();
  });

  test('a sender that breaks off is no error', async () => {
    const ended = closedGate();
    const handle = handler({ token: 't', onResult: () => undefined });
    const outcome: unknown[] = [];
    const url = await serve((request, response) => {
      handle(request, response).then(() => outcome.push('resolved'), (error: unknown) => outcome.push(error)).finally(() => ended.open());
      socket.destroy();
    });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
    await ended.opened;
    expect(outcome).toEqual(['resolved']);
  });
});
