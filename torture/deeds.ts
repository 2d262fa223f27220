import type { Client } from 'pg';
import { insertArgument, insertAttachment, insertChannel, insertKwarg, insertMessage, insertReaction } from '../test/support/chat.js';
import type { Random } from './random.js';
import type { ChatWorld } from './world.js';

export type World = ChatWorld;

export interface Doing {
  readonly client: Client;
  readonly random: Random;
  readonly world: World;
  /** a message that is there once this is committed */
  readonly added: (messageId: number) => void;
}

type Deed = (doing: Doing) => Promise<void>;

/** The children of a message first, as the application does it. */
const CHILDREN = ['slackchat_attachment', 'slackchat_keywordargument', 'slackchat_reaction'] as const;
const TOKEN_COLUMN = { slackchat_attachment: 'title', slackchat_keywordargument: 'value', slackchat_reaction: 'reaction' } as const;

function text({ random, world }: Doing): string {
  const own = world.serial('t');
  // Long ones are stored outside the row, and left out of the WAL where they do not change.
  if (random.chance(0.03)) return `${own} ${random.text(random.integer(10_000, 60_000))}`;
  return `${own} ${random.text(random.integer(0, 200))}`;
}

async function say(doing: Doing, columns: { readonly channelId?: string; readonly maintained?: boolean } = {}): Promise<number> {
  const { client, random, world } = doing;
  const { channelId = random.pick(world.channelIds), maintained = random.chance(0.15) } = columns;
  const id = await insertMessage(client, { channelId, userId: random.pick(world.userIds), text: text(doing), ...(maintained ? { serialized: {} } : {}) });
  doing.added(id);
  return id;
}

async function addChild({ client, random, world }: Doing, messageId: number): Promise<void> {
  const userId = random.pick(world.userIds);
  switch (random.weighted({ reaction: 5, argument: 1, attachment: 2, kwarg: 2 })) {
    case 'reaction':
      await insertReaction(client, { messageId, userId, reaction: world.serial('r') });
      return;
    case 'argument': {
      const argumentId = await insertArgument(client, { chatTypeId: random.pick(world.chatTypeIds), name: world.serial('g'), character: world.serial('c') });
      await insertReaction(client, { messageId, userId, reaction: world.serial('r'), argumentId });
      return;
    }
    case 'attachment':
      await insertAttachment(client, { messageId, title: world.serial('a'), image_width: random.integer(0, 300) });
      return;
    case 'kwarg':
      await insertKwarg(client, { messageId, userId, key: world.serial('k'), value: world.serial('v') });
  }
}

/** Only of messages that are there: a child of another would not pass at commit. */
async function existing({ client, random, world }: Doing): Promise<number | null> {
  const { rows } = await client.query<{ id: number }>('SELECT id FROM slackchat_message WHERE id = $1', [world.message(random)]);
  return rows[0]?.id ?? null;
}

/** Attachments go by themselves: their table has a foreign key that cascades, which deletes them after their message. */
async function remove(client: Client, where: string, values: readonly unknown[]): Promise<void> {
  for (const table of CHILDREN.filter((one) => one !== 'slackchat_attachment')) await client.query(`DELETE FROM ${table} WHERE message_id IN (SELECT id FROM slackchat_message WHERE ${where})`, [...values]);
  await client.query(`DELETE FROM slackchat_message WHERE ${where}`, [...values]);
}

const some: Deed = async (doing) => {
  for (let left = doing.random.integer(1, 5); left > 0; left -= 1) await deeds[doing.random.weighted(SMALL)](doing);
};

export const deeds = {
  say: async (doing) => {
    const id = await say(doing);
    for (let left = Number(doing.random.weighted({ '0': 5, '1': 2, '3': 1 })); left > 0; left -= 1) await addChild(doing, id);
  },
  edit: async (doing) => {
    const { client, random, world } = doing;
    await client.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [world.message(random), text(doing)]);
  },
  touch: async ({ client, random, world }) => {
    await client.query('UPDATE slackchat_message SET text = text WHERE id = $1', [world.message(random)]);
  },
  reassign: async ({ client, random, world }) => {
    await client.query('UPDATE slackchat_message SET user_id = $2 WHERE id = $1', [world.message(random), random.pick(world.userIds)]);
  },
  renew: async ({ client, random, world }) => {
    await client.query(`UPDATE slackchat_message SET serialized = '{"a": 1}' WHERE id = $1 AND serialized IS NOT NULL`, [world.message(random)]);
  },
  child: async (doing) => {
    const id = await existing(doing);
    if (id !== null) await addChild(doing, id);
  },
  changeChild: async ({ client, random, world }) => {
    const table = random.pick(CHILDREN);
    const column = TOKEN_COLUMN[table];
    await client.query(`UPDATE ${table} SET ${column} = $2 WHERE id = (SELECT min(id) FROM ${table} WHERE message_id = $1)`, [world.message(random), world.serial('x')]);
  },
  dropChild: async ({ client, random, world }) => {
    const table = random.pick(CHILDREN);
    await client.query(`DELETE FROM ${table} WHERE id = (SELECT max(id) FROM ${table} WHERE message_id = $1)`, [world.message(random)]);
  },
  moveChild: async (doing) => {
    const { client, random, world } = doing;
    const table = random.pick(CHILDREN);
    const to = await existing(doing);
    if (to !== null) await client.query(`UPDATE ${table} SET message_id = $2 WHERE id = (SELECT max(id) FROM ${table} WHERE message_id = $1)`, [world.message(random), to]);
  },
  moveMessage: async ({ client, random, world }) => {
    await client.query('UPDATE slackchat_message SET channel_id = $2 WHERE id = $1', [world.message(random), random.pick(world.channelIds)]);
  },
  delete: async ({ client, random, world }) => {
    await remove(client, 'id = $1', [world.message(random)]);
  },
  shortLived: async (doing) => {
    const id = await say(doing);
    await addChild(doing, id);
    await remove(doing.client, 'id = $1', [id]);
  },
  savepoint: async (doing) => {
    const { client, random } = doing;
    await some(doing);
    await client.query('SAVEPOINT here');
    await some(doing);
    await client.query(random.chance(0.6) ? 'ROLLBACK TO here' : 'RELEASE here');
    await some(doing);
  },
  undone: some,
  several: some,
  bulkInsert: async ({ client, random, world, added }) => {
    const { rows } = await client.query<{ id: number }>(
      `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT $1::timestamptz + n * interval '1 microsecond', $2 || n, $3, $4 FROM generate_series(1, $5::int) n RETURNING id`,
      [world.bulkInstant(), `${world.serial('b')}-${random.text(random.pick([10, 300, 6_000]))}-`, random.pick(world.channelIds), random.pick(world.userIds), Number(random.weighted({ '30': 6, '300': 2, '3000': 0.1 }))],
    );
    for (const { id } of rows.slice(-3)) added(id);
  },
  bulkEdit: async ({ client, random, world }) => {
    await client.query(
      `UPDATE slackchat_message SET text = $1 || id WHERE id IN (SELECT id FROM slackchat_message WHERE channel_id = $2 ORDER BY id DESC LIMIT $3)`,
      [`${world.serial('e')}-`, random.pick(world.channelIds), random.integer(5, 60)],
    );
  },
  bulkDelete: async ({ client, random, world }) => {
    await remove(client, 'id IN (SELECT id FROM slackchat_message WHERE channel_id = $1 ORDER BY id LIMIT $2)', [random.pick(world.channelIds), random.integer(5, 200)]);
  },
  /** A channel that comes and goes. */
  channel: async (doing) => {
    const { client, random, world } = doing;
    if (random.chance(0.5)) {
      const channelId = await insertChannel(client, { chatTypeId: random.pick(world.chatTypeIds), ownerId: random.pick(world.userIds), title: 'passing' });
      for (let left = random.integer(1, 6); left > 0; left -= 1) await addChild(doing, await say(doing, { channelId }));
      return;
    }
    const { rows } = await client.query<{ id: string }>("SELECT id FROM slackchat_channel WHERE title = 'passing' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED");
    if (rows[0] === undefined) return;
    await remove(client, 'channel_id = $1', [rows[0].id]);
    await client.query('DELETE FROM slackchat_channel WHERE id = $1', [rows[0].id]);
  },
  truncateChildren: async ({ client, random }) => {
    await client.query(`TRUNCATE ${random.pick(CHILDREN)}`);
  },
  truncate: async ({ client, world }) => {
    await client.query('TRUNCATE slackchat_message CASCADE');
    world.forgetMessages();
  },
  schema: async ({ client, random }) => {
    const table = random.pick(['slackchat_message', ...CHILDREN]);
    await client.query(random.pick([
      `ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS unrelated text`,
      `ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS unrelated uuid DEFAULT gen_random_uuid()`,
      `ALTER TABLE ${table} DROP COLUMN IF EXISTS unrelated`,
      `CREATE INDEX ON ${table} (id)`,
      'ALTER TABLE slackchat_reaction ALTER COLUMN reaction TYPE text',
      'ALTER TABLE slackchat_reaction ALTER COLUMN reaction TYPE varchar(150)',
      'ALTER TABLE slackchat_keywordargument ALTER COLUMN value TYPE varchar(5000)',
      'ALTER TABLE slackchat_keywordargument ALTER COLUMN value TYPE text',
    ]));
  },
  request: async ({ client, random, world }) => {
    const name = random.pick(['request_update', 'republish', 'unpublish'].filter((one) => world.functions.has(one)));
    await client.query(`SELECT slackchat_bridge.${name}($1::text)`, [random.pick(world.channelIds)]);
  },
  control: async ({ client, random, world }) => {
    const name = random.pick(['resync', 'retry_all', 'verify']);
    const webhookId = random.pick(world.webhookIds);
    if (name === 'verify') world.onVerify(webhookId);
    await client.query(`SELECT slackchat_bridge.${name}($1)`, [webhookId]);
  },
  /** The newest messages once more, to all or to one. */
  replay: async ({ client, random, world }) => {
    if (!world.functions.has('replay')) return;
    const to = random.chance(0.5) ? [random.pick(world.webhookIds)] : null;
    await client.query(
      'SELECT slackchat_bridge.replay(min(newest.at), NULL, $2::bigint[]) FROM (SELECT "timestamp" AS at FROM slackchat_message ORDER BY 1 DESC LIMIT $1) newest HAVING count(*) > 0',
      [random.integer(1, 60), to],
    );
  },
  /** Rows that payloads refer to, written without a change of what is shown. */
  surroundings: async ({ client, random, world }) => {
    if (random.chance(0.5)) await client.query('UPDATE slackchat_user SET title = $2 WHERE id = $1', [random.pick(world.userIds), world.serial('title')]);
    else await client.query('UPDATE slackchat_channel SET live = NOT live WHERE id = $1', [random.pick(world.channelIds)]);
  },
} as const satisfies Readonly<Record<string, Deed>>;

export type DeedName = keyof typeof deeds;

const SMALL = { say: 4, edit: 4, touch: 1, reassign: 1, renew: 1, child: 4, changeChild: 2, dropChild: 2, moveChild: 1, moveMessage: 1, delete: 1 } as const;

export const WEIGHTS: Readonly<Record<DeedName, number>> = {
  ...SMALL,
  say: 20, edit: 20, touch: 3, reassign: 4, renew: 6, child: 20, changeChild: 8, dropChild: 6, moveChild: 4, moveMessage: 5, delete: 5,
  shortLived: 2, savepoint: 6, undone: 5, several: 10, bulkInsert: 2, bulkEdit: 2, bulkDelete: 1, channel: 2, truncateChildren: 0.3, truncate: 0.15, schema: 2, request: 2, control: 2, replay: 2, surroundings: 3,
};
