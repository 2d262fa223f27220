import { describe, expect, test } from 'vitest';
import { check, faultsOf, type Arrival, type Body, type Expected } from '../../src/demo/expectations.js';
import { runCommand } from '../support/process.js';

const body = (timestamp: string, kind: Body['update_type'], more: Readonly<Record<string, unknown>> = {}): Body => ({
  type: 'update_notification',
  channel: 'c',
  chat_type: 'newsroom',
  update_type: kind,
  message: { timestamp, user: 'U', content: 'Hello', ...more },
});

test('the demo passes, and says what it checked', { timeout: 120_000 }, async () => {
  const { code, stdout, stderr } = await runCommand({}, ['demo']);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/every expected notification arrived: (\d+) of \1, from \d+ commits/u);
  expect(stdout).toMatch(/kill -9 \d+/u);
  expect(stdout).toMatch(/again after the restart, same id/u);
  expect(stdout).toMatch(/demo passed: \d+ commits, \d+ notifications, none lost, none unexpected, order kept \(\d+\.\d s\)\n$/u);
  // No terminal: plain lines.
  expect(stdout).not.toContain('\u001B');
  expect(stdout).not.toContain('\r');
  expect(code).toBe(0);
});

describe('what the demo takes for a fault', () => {
  const edited = { content: 'Hello all' };
  const reacted = { ...edited, reactions: [{ timestamp: 't', reaction: 'clap', user: 'U' }] };
  const expected: readonly Expected[] = [
    { step: 'a message', body: body('1', 'message_created') },
    { step: 'its edit', body: body('1', 'message_changed', edited) },
    { step: 'a reaction', body: body('1', 'message_changed', reacted) },
    { step: 'another message', body: body('2', 'message_created') },
  ];
  const arrival = (at: number, more: Partial<Arrival> = {}): Arrival => {
    const of = expected[at];
    if (of === undefined) throw new Error(`there is no expectation ${at}`);
    return { id: `id-${at}`, body: { ...of.body }, receivedAt: at, run: 1, status: 200, ...more };
  };
  const faults = (...arrivals: Arrival[]): readonly string[] => faultsOf(check(expected, arrivals));

  test('none, when all came once and each message in order', () => {
    expect(faults(arrival(0), arrival(1), arrival(3), arrival(2))).toEqual([]);
    expect(faults(arrival(3), arrival(0), arrival(1), arrival(2))).toEqual([]);
  });

  test('a missing one', () => {
    const [fault, ...others] = faults(arrival(0), arrival(2), arrival(3));
    expect(fault).toBe('missing: its edit: message_changed {"timestamp":"1","user":"U","content":"Hello all"}');
    expect(others).toEqual([]);
  });

  test('one that was refused and never came again', () => {
    expect(faults(arrival(0), arrival(1), arrival(2), arrival(3, { status: 500 }))).toEqual([
      expect.stringMatching(/^missing: another message: .*never accepted/u),
    ]);
  });

  test('an extra one', () => {
    const extra = arrival(0, { id: 'x', body: { ...body('3', 'message_created') } });
    expect(faults(arrival(0), arrival(1), arrival(2), arrival(3), extra)).toEqual([expect.stringMatching(/^unexpected: .*"timestamp":"3"/u)]);
  });

  test('one with other content', () => {
    const wrong = arrival(3, { body: { ...body('2', 'message_created', { content: 'Hell' }) } });
    expect(faults(arrival(0), arrival(1), arrival(2), wrong)).toEqual([
      expect.stringMatching(/^missing: another message/u),
      expect.stringMatching(/^unexpected: .*"Hell"/u),
    ]);
  });

  test('keys in another order', () => {
    const { type, channel, chat_type, update_type, message } = body('2', 'message_created');
    const wrong = arrival(3, {
      body: { type, channel, chat_type, update_type, message: { content: message['content'], user: message['user'], timestamp: message.timestamp } },
    });
    expect(faults(arrival(0), arrival(1), arrival(2), wrong)).toHaveLength(2);
  });

  test('two of one message in the wrong order', () => {
    expect(faults(arrival(1), arrival(0), arrival(2), arrival(3))).toEqual([expect.stringMatching(/^out of order: its edit: .* came before message_created/u)]);
  });

  test('one that was sent before its predecessor was accepted', () => {
    expect(faults(arrival(0, { status: 500 }), arrival(1), arrival(0), arrival(2), arrival(3))).toEqual([expect.stringMatching(/^out of order: its edit/u)]);
  });

  test('the same again with another webhook-id', () => {
    expect(faults(arrival(0), arrival(1), arrival(2), arrival(3), arrival(3, { id: 'x' }))).toEqual([
      expect.stringMatching(/^unexpected: the same again with another webhook-id/u),
    ]);
  });

  test('a repeat without a reason', () => {
    expect(faults(arrival(0), arrival(1), arrival(2), arrival(3), arrival(3))).toEqual([
      expect.stringMatching(/^wrong repeat: another message: id-3 came again although it had been accepted/u),
    ]);
  });

  test('a repeat with other content', () => {
    const again = arrival(3, { run: 2, body: { ...body('2', 'message_created', { content: 'Hell' }) } });
    expect(faults(arrival(0), arrival(1), arrival(2), arrival(3), again)).toEqual([
      expect.stringMatching(/^wrong repeat: another message: id-3 came again with other content/u),
    ]);
  });

  test('none in a repeat after a refusal or by the next process', () => {
    const again = [arrival(0, { status: 500 }), arrival(0), arrival(1, { status: 0 }), arrival(1, { run: 2 }), arrival(2), arrival(3), arrival(3, { run: 2 })];
    expect(faults(...again)).toEqual([]);
  });

  test('none in a payload that is newer than its commit, but in one that is older', () => {
    expect(faults(arrival(0), arrival(1, { body: { ...body('1', 'message_changed', reacted) } }), arrival(2), arrival(3))).toEqual([]);
    expect(faults(arrival(0), arrival(1), arrival(2, { body: { ...body('1', 'message_changed', edited) } }), arrival(3))).toHaveLength(2);
  });
});
