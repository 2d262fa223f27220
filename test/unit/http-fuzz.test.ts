import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EndpointClient, type Answer } from '../../src/deliver/attempt.js';
import { Egress } from '../../src/deliver/egress.js';

/** Answers each request with what is put into its path, as bytes in hexadecimal, and ends the connection or leaves it open. */
const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  socket.once('data', (data) => {
    const [, end = '', hex = ''] = /^POST \/(end|stay)\/([0-9a-f]*)/u.exec(data.toString('latin1')) ?? [];
    socket.write(Buffer.from(hex, 'hex'));
    if (end === 'end') socket.end();
  });
});
beforeAll(async () => new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve());
}));
afterAll(() => {
  server.close();
  for (const socket of sockets) socket.destroy();
});

const egress = new Egress({ mode: 'private', allow: [], deny: [] });
const BODY = Buffer.from('{}');

/** Every answer to one request: there must be one. */
async function answersTo(bytes: Buffer, end: boolean): Promise<Answer[]> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  const { port } = server.address() as AddressInfo;
  const client = new EndpointClient(`http://127.0.0.1:${port}/${end ? 'end' : 'stay'}/${bytes.toString('hex')}`, 1, 200, egress);
  const answers: Answer[] = [];
  await new Promise<void>((resolve) => {
    client.send({ headers: [], body: { parts: [BODY], bytes: BODY.length }, keepBody: true }, (answer) => {
      answers.push(answer);
      resolve();
    });
  });
  await client.destroy();
  return answers;
}

const STATUS = fc.oneof(fc.constantFrom('200 OK', '204 No Content', '500 x', '410 Gone', '101 Switching Protocols', '103 Early Hints', '099 x', '1000 x', '-1', '2e2 x', ''), fc.string({ maxLength: 8 }));
const HEADER = fc.constantFrom(
  'content-length: 3', 'content-length: -3', 'content-length: 99999999999999999999', 'content-length: 3\r\ncontent-length: 4', 'transfer-encoding: chunked', 'transfer-encoding: gzip',
  'connection: upgrade\r\nupgrade: x', 'retry-after: 9'.padEnd(2_000, '9'), 'retry-after: \u001b[31m', 'location: http://169.254.169.254/', 'set-cookie: a=b', ': x', 'x', `x: ${'y'.repeat(20_000)}`, 'x: \u0000', ' folded',
);
const TAIL = fc.constantFrom('', 'abc', 'a'.repeat(100_000), '3\r\nabc\r\n0\r\n\r\n', 'ffffffffffffffff\r\nabc', '-1\r\nabc', 'HTTP/1.1 200 OK\r\n\r\n', '\r\n\r\n\r\n');
const response = fc
  .tuple(fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2', 'HTTP/9.9', 'http/1.1', ''), STATUS, fc.array(HEADER, { maxLength: 4 }), TAIL)
  .map(([version, status, headers, tail]) => Buffer.from(`${version} ${status}\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n${tail}`, 'latin1'));
/** One or two bytes of it are others. */
const broken = fc.tuple(response, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 2 })).map(([bytes, changes]) => {
  for (const [place, byte] of changes) bytes[place % bytes.length] = byte;
  // Node's own limit on the length of a request's first line.
  return bytes.subarray(0, 7_000);
});

test('whatever bytes come as an answer, each request has exactly one outcome, in words without control characters', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.oneof(broken, fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))), fc.boolean()), { minLength: 20, maxLength: 20 }), async (all) => {
      for (const answers of await Promise.all(all.map(async ([bytes, end]) => answersTo(bytes, end)))) {
        expect(answers).toHaveLength(1);
        const [{ outcome, body } = { outcome: null, body: '' }] = answers;
        expect(['delivered', 'gone', 'failed']).toContain(outcome?.kind);
        expect(body.length).toBeLessThanOrEqual(64 * 1024);
        if (outcome?.kind === 'failed') {
          expect(outcome.reason).toMatch(/^[^\p{Cc}]{1,400}$/u);
          if (outcome.retryAfterMs !== null) expect(outcome.retryAfterMs).toBeLessThanOrEqual(3_600_000);
        }
      }
    }),
    { numRuns: 15 },
  );
});
