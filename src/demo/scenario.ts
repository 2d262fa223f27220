import { changed, created, deleted, draft, reaction, type Cast, type Draft } from './chat.js';
import type { Step, Story } from './story.js';

const quoted = ({ text, channel }: Draft): string => `message "${text}" in ${channel.title}`;

/** A chat as any: each change a transaction of its own. */
export async function ordinaryDay(story: Story, cast: Cast): Promise<void> {
  const { ana, ben, general } = cast;
  story.screen.chapter('A chat, each change in a transaction of its own');
  const hello = draft(general, ana, 'Hello');
  await story.step(quoted(hello), [created(hello)], (sql) => sql.write(hello));
  const content = 'Hello everybody';
  await story.step(`edited to "${content}"`, [changed(hello, { content })], (sql) => sql.set(hello, 'text', content));
  const clap = reaction(ben, 'clap');
  await story.step(':clap: by Ben', [changed(hello, { content, reactions: [clap] })], (sql) => sql.react(hello, clap, ben));
  const attachment = { title: 'Turnout so far', title_link: 'https://example.org/turnout', image_url: 'https://example.org/turnout.png', image_width: 640, image_height: 480 };
  await story.step('an attachment', [changed(hello, { content, reactions: [clap], attachments: [attachment] })], (sql) =>
    sql.insert('slackchat_attachment', attachment, hello),
  );
  const more = { content, reactions: [clap], attachments: [attachment] };
  const kwargs = { style: 'breaking' };
  await story.step('a keyword argument, style: breaking', [changed(hello, { ...more, kwargs })], (sql) => sql.tag(hello, 'style', 'breaking'));
  const full = { ...more, args: ['pinned'], kwargs };
  await story.step(':pushpin: by Ana, bound to the argument "pinned"', [changed(hello, full)], (sql) => sql.react(hello, reaction(ana, 'pushpin'), ana, cast.pinned));
  await story.step('saved again, no column differs', [changed(hello, full)], (sql) => sql.query('UPDATE slackchat_message SET text = text WHERE timestamp = $1', [hello.timestamp]));
  await story.step('deleted with its reactions, attachment and keyword argument', [deleted({ ...hello, text: content })], (sql) => sql.remove(hello));
}

/** One notification per message and transaction: its net effect. */
export async function transactions(story: Story, cast: Cast): Promise<void> {
  const { ana, ben, general, elections, lunch } = cast;
  story.screen.chapter('What counts is the transaction');
  const [first, second, third] = [draft(elections, ana, 'Polls are closed'), draft(elections, ben, 'First count is in'), draft(general, ana, 'Look at #elections')];
  await story.step('three messages at once', [created(first), created(second), created(third)], async (sql) => {
    for (const message of [first, second, third]) await sql.write(message);
  });
  const busy = draft(elections, ben, 'Turnout: 61 %');
  const eyes = reaction(ana, 'eyes');
  await story.step('a message, edited twice and reacted to in one transaction', [created(busy, { content: 'Turnout: 63 %', reactions: [eyes] })], async (sql) => {
    await sql.write(busy);
    await sql.set(busy, 'text', 'Turnout: 62 %');
    await sql.react(busy, eyes, ana);
    await sql.set(busy, 'text', 'Turnout: 63 %');
  });

  const here = async (text: string): Promise<Step> => {
    const message = draft(general, ben, text);
    return story.commit(quoted(message), [created(message)], (sql) => sql.write(message));
  };
  const never = draft(general, ana, 'Never said');
  await story.silence('ROLLBACK', `${quoted(never)}, rolled back`, (sql) => sql.write(never), () => here('Anything new?'));
  const passing = draft(general, ana, 'Already gone');
  await story.silence('COMMIT', `${quoted(passing)}, deleted at once`, async (sql) => {
    await sql.write(passing);
    await sql.react(passing, reaction(ben, 'ghost'), ben);
    await sql.remove(passing);
  }, () => here('Still quiet here'));

  const moved = { ...third, channel: elections };
  await story.step(`"${third.text}" moved to ${elections.title}`, [deleted(third), created(moved)], (sql) => sql.set(third, 'channel_id', elections.id));
  const [soup, bread] = [draft(lunch, ana, 'Soup'), draft(lunch, ben, 'Bread')];
  const yum = reaction(ben, 'yum');
  await story.step(`two messages and a reaction in ${lunch.title}`, [created(soup, { reactions: [yum] }), created(bread)], async (sql) => {
    await sql.write(soup);
    await sql.write(bread);
    await sql.react(soup, yum, ben);
  });
  await story.step(`${lunch.title} deleted with all that is in it`, [deleted(soup), deleted(bread)], async (sql) => {
    await sql.remove(soup);
    await sql.remove(bread);
    await sql.query('DELETE FROM slackchat_channel WHERE id = $1', [lunch.id]);
  });
}

/** The application commits a child and, in a second transaction, the message with its `serialized` renewed: one notification. */
export async function likeTheApplication(story: Story, cast: Cast): Promise<void> {
  const { ana, ben, elections } = cast;
  story.screen.chapter('As the application writes: the child first, then the message with "serialized" renewed');
  const message = draft(elections, ana, 'Result at nine');
  await story.step(quoted(message), [created(message)], (sql) => sql.write(message, created(message).message));
  const fire = reaction(ben, 'fire');
  const body = changed(message, { reactions: [fire] });
  const child = await story.commit(':fire: by Ben, the reaction alone', [], (sql) => sql.react(message, fire, ben));
  const parent = await story.commit('"serialized" of its message renewed', [body], (sql) => sql.set(message, 'serialized', body.message));
  await story.arrived([parent]);
  story.show(child, true);
  story.show(parent, true);
}
