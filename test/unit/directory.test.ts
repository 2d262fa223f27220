import { describe, expect, test } from 'vitest';
import { Directory, type DirectoryEntity } from '../../src/shape/directory.js';
import type { Row } from '../../src/types.js';
import { insert, remove, transactionOf, update } from './changes.js';

/** A database to look up in, which notes what was asked. */
function database(rows: Partial<Record<DirectoryEntity, readonly Row[]>> = {}): {
  asked: string[];
  lookup: (entity: DirectoryEntity, ids: readonly string[]) => Promise<readonly Row[]>;
} {
  const asked: string[] = [];
  return {
    asked,
    lookup: async (entity, ids) => {
      asked.push(`${entity} ${ids.join(',')}`);
      return (rows[entity] ?? []).filter((row) => ids.includes(row['id'] ?? ''));
    },
  };
}

describe('the directory', () => {
  test('follows what transactions write', () => {
    const directory = new Directory(database().lookup, async () => [], 10);
    directory.apply(
      transactionOf(1, [
        insert('user', { id: 'u1', api_id: 'U1' }),
        insert('channel', { id: 'c1', chat_type_id: 't1' }),
        insert('chatType', { id: 't1', name: 'default' }),
        insert('argument', { id: 'a1', name: 'arg' }),
        insert('message', { id: '1', api_id: 'no user' }),
      ]),
    );
    expect([directory.user('u1'), directory.argument('a1'), directory.chatType('c1')]).toEqual(['U1', 'arg', 'default']);
    directory.apply(
      transactionOf(2, [
        update('user', null, { id: 'u1', api_id: 'U2' }),
        update('chatType', { id: 't1', name: 'default' }, { id: 't1', name: 'renamed' }),
        insert('chatType', { id: 't2', name: 'other' }),
      ]),
    );
    expect([directory.user('u1'), directory.chatType('c1')]).toEqual(['U2', 'renamed']);
    directory.apply(transactionOf(3, [update('channel', null, { id: 'c1', chat_type_id: 't2' })]));
    expect(directory.chatType('c1')).toBe('other');
  });

  test('knows nothing of what it was not told', () => {
    const directory = new Directory(database().lookup, async () => [], 10);
    directory.put('channel', { id: 'c1', chat_type_id: 't1' });
    directory.put('channel', { id: 'c2', chat_type_id: null });
    expect([directory.user('u1'), directory.argument('a1'), directory.chatType('c1'), directory.chatType('c2'), directory.chatType('c3')]).toEqual([
      null,
      null,
      null,
      null,
      null,
    ]);
  });

  test('remembers deleted rows, known before or not, because a notification can name them later', async () => {
    const db = database();
    const directory = new Directory(db.lookup, async () => [], 10);
    directory.put('user', { id: 'u1', api_id: 'U1' });
    directory.apply(
      transactionOf(1, [
        remove('user', { id: 'u1' }),
        remove('user', { id: 'u2', api_id: 'U2' }),
        remove('channel', { id: 'c1', chat_type_id: 't1' }),
        remove('chatType', { id: 't1', name: 'gone' }),
      ]),
    );
    expect([directory.user('u1'), directory.user('u2'), directory.chatType('c1')]).toEqual(['U1', 'U2', 'gone']);
    await directory.ensure('user', ['u1', 'u2']);
    await directory.ensureChannels(['c1']);
    expect(db.asked).toEqual([]);
  });

  test('that is told of a transaction twice knows the same', () => {
    const directory = new Directory(database().lookup, async () => [], 10);
    const transaction = transactionOf(1, [
      insert('user', { id: 'u1', api_id: 'U1' }),
      update('user', null, { id: 'u1', api_id: 'U2' }),
      remove('user', { id: 'u1', api_id: 'U2' }),
    ]);
    directory.apply(transaction);
    directory.apply(transaction);
    expect(directory.user('u1')).toBe('U2');
  });

  test('keeps no more rows of each kind than its limit, the newest of them', () => {
    const directory = new Directory(database().lookup, async () => [], 3);
    for (let n = 1; n <= 5; n += 1) directory.put('user', { id: `u${n}`, api_id: `U${n}` });
    directory.put('argument', { id: 'u1', name: 'of another kind' });
    expect(['u1', 'u2', 'u3', 'u4', 'u5'].map((id) => directory.user(id))).toEqual([null, null, 'U3', 'U4', 'U5']);
    // written again, it is among the newest
    directory.put('user', { id: 'u3', api_id: 'new' });
    directory.put('user', { id: 'u6', api_id: 'U6' });
    expect(['u3', 'u4', 'u5', 'u6'].map((id) => directory.user(id))).toEqual(['new', null, 'U5', 'U6']);
    expect(directory.argument('u1')).toBe('of another kind');
  });

  test('keeps nothing of a row but what it answers with', () => {
    const directory = new Directory(database().lookup, async () => [], 3);
    directory.put('user', { id: 'u1', api_id: 'U1', email: 'somebody@example.org' });
    directory.put('user', { api_id: 'without an id' });
    expect(directory.user('u1')).toBe('U1');
  });

  test('forgets everything when the stream was not followed', () => {
    const directory = new Directory(database().lookup, async () => [], 3);
    directory.put('user', { id: 'u1', api_id: 'U1' });
    directory.clear();
    expect(directory.user('u1')).toBe(null);
  });
});

describe('making sure of names', () => {
  const rows = {
    user: [
      { id: 'u1', api_id: 'U1' },
      { id: 'u2', api_id: 'U2' },
    ],
    channel: [
      { id: 'c1', chat_type_id: 't1' },
      { id: 'c2', chat_type_id: 't1' },
    ],
    chatType: [{ id: 't1', name: 'default' }],
  };

  test('loads only what is missing, each once', async () => {
    const db = database(rows);
    const directory = new Directory(db.lookup, async () => [], 10);
    directory.put('user', { id: 'u1', api_id: 'known' });
    await directory.ensure('user', ['u1', 'u2', 'u2', 'u1']);
    await directory.ensure('user', ['u1', 'u2']);
    await directory.ensure('user', []);
    expect(db.asked).toEqual(['user u2']);
    expect([directory.user('u1'), directory.user('u2')]).toEqual(['known', 'U2']);
  });

  test('of channels loads their chat types too, those alone that are missing', async () => {
    const db = database(rows);
    const directory = new Directory(db.lookup, async () => [], 10);
    await directory.ensureChannels(new Set(['c1', 'c2', 'c3']));
    expect(db.asked).toEqual(['channel c1,c2,c3', 'chatType t1']);
    expect([directory.chatType('c1'), directory.chatType('c2'), directory.chatType('c3')]).toEqual(['default', 'default', null]);
    await directory.ensureChannels(['c1']);
    expect(db.asked.length).toBe(2);
  });

  test('that fails can be repeated', async () => {
    let broken = true;
    const db = database(rows);
    const directory = new Directory(
      async (entity, ids) => (broken ? Promise.reject(new Error('no connection')) : db.lookup(entity, ids)),
      async () => [],
      10,
    );
    await expect(directory.ensure('user', ['u1'])).rejects.toThrow('no connection');
    broken = false;
    await directory.ensure('user', ['u1']);
    expect(directory.user('u1')).toBe('U1');
  });
});
