import { expect, test } from 'vitest';
import { Chronicler } from '../../torture/chronicler.js';
import type { Struck } from '../../torture/faults.js';
import type { Request } from '../../torture/receiver.js';
import { story } from '../../torture/story.js';
import { SimulatedChat } from '../simulation/chat.js';

test('a violation is told with what it names: the commits and requests of these messages, the faults near them, and nothing else', () => {
  const chat = new SimulatedChat();
  for (let count = 0; count < 3; count += 1) chat.transact([{ kind: 'say', channel: 0, maintained: false }]);
  const chronicler = new Chronicler(Number.POSITIVE_INFINITY);
  chronicler.add(chat.commits);
  const history = chronicler.finish();
  const requests = [3, 1, 2].map((number, at): Request => {
    const lsn = (chat.wal[number - 1]?.commitLsn ?? 0n).toString(16).toUpperCase().padStart(16, '0');
    const body = { type: 'update_notification', channel: 'c1', update_type: 'message_created', message: { timestamp: `2031-01-01T00:00:0${number}Z`, user: 'USER1', content: `t${number}` } };
    return { endpoint: 'ordered', path: '/', id: `7-${lsn}-0`, body, at, time: Date.now() + at * 60_000, manner: 'well', answeredAt: at };
  });
  const [first = '', , third = ''] = history.events.filter(({ messageId }) => messageId !== null).map(({ key }) => key);
  const fault = (name: string, from: number): Struck => ({ name, from: Date.now() + from, to: null, outcome: 'struck' });
  const violation = { rule: 'out of order', key: first, lane: 'channel:c1', detail: `came first after ${third}` } as const;
  const told = story(violation, 'ordered', requests, history, [fault('kill -9', 59_000), fault('SIGTERM', 121_000)]);
  const lines = told.split('\n').slice(2).map((line) => line.replace(/^ {2}\S+ /u, ''));
  expect(lines).toHaveLength(5);
  expect(lines.filter((line) => line.startsWith('commit'))).toHaveLength(2);
  expect(lines.filter((line) => line.startsWith('→')).map((line) => / (?<content>t\d) /u.exec(line)?.groups?.['content'])).toEqual(['t3', 't1']);
  expect(lines.filter((line) => line.startsWith('⚡'))).toEqual(['⚡ kill -9']);
});
