import { describe, expect, test } from 'vitest';
import { channelFrame, channelUser, imageUrl } from '../../src/shape/channel.js';
import { channelRequests } from '../../src/shape/channel-requests.js';
import type { Change, Row } from '../../src/types.js';

const CHANNEL: Row = {
  id: '6f1d2c3b-4a59-4e68-8f70-112233445566', api_id: null, title: 'T “q”', introduction: null, meta_title: null, meta_description: 'Live.', meta_image: null,
  extras: '{"num": 12345678901234567890, "two": 2.0}', publish_path: '//double//', publish_time: '2018-01-01 01:30:00.123456+00', live: 't', published: 'f',
};
const CHAT_TYPE: Row = { name: 'default', publish_path: '/a/b' };

describe('a channel as the application serializes it', () => {
  test('keys come in its order, nulls stay, JSON keeps every digit', () => {
    const { head, tail } = channelFrame(CHANNEL, CHAT_TYPE, 'Hi', '2026-11-24 01:02:03.000456+00');
    expect(`${head}{},"messages":[]${tail}`).toBe(
      '{"id":"6f1d2c3b-4a59-4e68-8f70-112233445566","api_id":null,"chat_type":"default","title":"T “q”","introduction":"Hi",' +
        '"meta":{"title":null,"description":"Live.","image":null},"extras":{"num": 12345678901234567890, "two": 2.0},' +
        '"paths":{"channel":"//double//","chat_type":"/a/b"},"publish_path":"/a/b/double//","publish_time":"2018-01-01T01:30:00.123456Z","live":true,' +
        '"users":{},"messages":[],"timestamp":"2026-11-24T01:02:03.000456Z"}',
    );
  });

  test.each([
    ['/slackchats/', 'rel/path', '/slackchats/rel/path'],
    ['slackchats', '/abs/', 'slackchats/abs/'],
    ['', '/x/', 'x/'],
    ['/', 'y', '/y'],
    ['/a/b', '', '/a/b/'],
  ])('paths %j and %j are joined to %j', (chatType, channel, joined) => {
    const { head } = channelFrame({ ...CHANNEL, publish_path: channel }, { ...CHAT_TYPE, publish_path: chatType }, null, '');
    expect(JSON.parse(`${head}{}}`)).toMatchObject({ publish_path: joined });
  });

  test.each([
    ['', 'slackchat/users/Ana Núñez/profile 1.jpg', '/slackchat/users/Ana%20N%C3%BA%C3%B1ez/profile%201.jpg'],
    ['https://cdn.example/media/', 'a.jpg', 'https://cdn.example/media/a.jpg'],
    ['https://cdn.example/media', '/a/../b.jpg', 'https://cdn.example/media/b.jpg'],
    ['media/', "it's(1)!.png", "/media/it's(1)!.png"],
    ['', 'http://elsewhere/x.png', '/http%3A/elsewhere/x.png'],
  ])('under MEDIA_URL %j the picture %j is at %j', (mediaUrl, path, url) => {
    expect(imageUrl(mediaUrl, path)).toBe(url);
  });

  test('a user without a picture has null for it', () => {
    expect(channelUser({ api_id: 'U1', first_name: null, last_name: 'L', image: '', title: '' }, '')).toBe('{"first_name":null,"last_name":"L","image":null,"title":""}');
  });
});

describe('what a committed change of a channel asks for', () => {
  const update = (index: number, before: Row, after: Row): Change => ({ kind: 'row', index, op: 'update', entity: 'channel', before: { id: 'c', ...before }, after: { id: 'c', ...after } });
  const asked = (...changes: readonly Change[]): unknown[] => channelRequests(changes).map((effect) => (effect.kind === 'control' ? effect.request : null));
  const DRAFT = { live: 'f', published: 'f', title: 'a' };
  const PUBLISHED = { ...DRAFT, published: 't' };

  test.each([
    ['only live changed, of a draft', DRAFT, { ...DRAFT, live: 't' }, [{ request_update: 'c' }]],
    ['only live changed, of a published one', PUBLISHED, { ...PUBLISHED, live: 't' }, [{ request_update: 'c' }]],
    ['live and title changed', PUBLISHED, { ...PUBLISHED, live: 't', title: 'b' }, [{ republish: 'c' }]],
    ['a published one is saved again', PUBLISHED, PUBLISHED, [{ republish: 'c' }]],
    ['it becomes published', DRAFT, PUBLISHED, [{ republish: 'c' }]],
    ['it is published no more', PUBLISHED, DRAFT, [{ unpublish: 'c' }]],
    ['a draft is saved', DRAFT, { ...DRAFT, title: 'b' }, []],
  ])('%s', (_name, before, after, requests) => {
    expect(asked(update(0, before, after))).toEqual(requests);
  });

  test('what the WAL leaves out has not changed', () => {
    expect(asked(update(0, { ...DRAFT, introduction: 'long' }, { ...DRAFT, introduction: undefined, live: 't' }))).toEqual([{ request_update: 'c' }]);
  });

  test('several changes in one transaction ask once, for their net effect', () => {
    expect(asked(update(0, DRAFT, PUBLISHED), update(1, PUBLISHED, { ...DRAFT, live: 't' }))).toEqual([{ request_update: 'c' }]);
  });

  test('a channel that is inserted asks if it is published, one that is deleted does not', () => {
    expect(asked({ kind: 'row', index: 0, op: 'insert', entity: 'channel', before: null, after: { id: 'c', ...PUBLISHED } })).toEqual([{ republish: 'c' }]);
    expect(asked({ kind: 'row', index: 0, op: 'delete', entity: 'channel', before: { id: 'c', ...PUBLISHED }, after: null })).toEqual([]);
  });
});
