import { changed, created, draft, reaction, type Cast } from './chat.js';
import { StoryBroken, type Step, type Story } from './story.js';

const WAITING = `SELECT count(*) AS value FROM slackchat_bridge.deliveries WHERE status = 'waiting'`;

/** The receiver answers 500: what is for it is parked in the database, and goes out in order when it works again. */
export async function failingReceiver(story: Story, cast: Cast): Promise<void> {
  const { ana, ben, general, elections } = cast;
  const { receiver, screen } = story;
  screen.chapter('The receiver fails for a while');
  receiver.failing = true;
  screen.note('from now on it answers 500');
  const [first, other] = [draft(general, ana, 'Is anybody there?'), draft(elections, ben, '40 % counted')];
  const content = 'Is anybody listening?';
  const ear = reaction(ben, 'ear');
  const steps: Step[] = [
    await story.commit(`message "${first.text}" in ${general.title}`, [created(first)], (sql) => sql.write(first)),
    await story.commit(`edited to "${content}"`, [changed(first, { content })], (sql) => sql.set(first, 'text', content)),
    await story.commit(':ear: by Ben', [changed(first, { content, reactions: [ear] })], (sql) => sql.react(first, ear, ben)),
    await story.commit(`message "${other.text}" in ${elections.title}`, [created(other)], (sql) => sql.write(other)),
  ];
  await story.untilRow('waiting for the four deliveries to be parked', WAITING, String(steps.length));
  screen.note(`${steps.length} commits, ${steps.length} deliveries wait in slackchat_bridge.deliveries`);
  // The first of each message has been tried; now a retry must have failed as well.
  const refused = (): number => receiver.arrivals.filter(({ status }) => status === 500).length;
  if (!(await story.until('waiting for a retry', () => refused() > 2))) throw new StoryBroken('a refused delivery was not tried again');
  receiver.failing = false;
  screen.note(`it works again, after ${refused()} refusals`);
  await story.arrived(steps);
  for (const step of steps) story.show(step, false);
  await story.untilRow('waiting for the parked deliveries to be let go', WAITING, '0');
  screen.note('nothing waits any more');
}

export interface Restartable {
  readonly pid: number;
  kill(): Promise<void>;
  /** Resolves when the new process streams. */
  startBridge(): Promise<void>;
}

const BEFORE = 12;
const AFTER = 6;
const KILLED_AT = 8;

/** kill -9 while a request is unanswered. What was not confirmed is sent again; nothing is lost. */
export async function killed(story: Story, cast: Cast, bridge: Restartable): Promise<void> {
  const { ana, ben, general, elections } = cast;
  const { receiver, screen } = story;
  screen.chapter('kill -9 of the bridge in the middle of traffic');
  const { pid } = bridge;
  let came = 0;
  let death: Promise<void> | undefined;
  // The request that is being answered then gets no answer: the receiver has it, and the bridge never knows.
  receiver.beforeAnswer = async () => {
    came += 1;
    if (came < KILLED_AT) return true;
    death ??= bridge.kill();
    await death;
    return false;
  };
  const steps: Step[] = [];
  const say = async (number: number): Promise<void> => {
    const message = number % 2 === 0 ? draft(elections, ben, `Precinct ${number} counted`) : draft(general, ana, `Caller ${number} is on the line`);
    steps.push(await story.commit(`message "${message.text}" in ${message.channel.title}`, [created(message)], (sql) => sql.write(message)));
    if (number % 4 !== 0) return;
    const content = `${message.text}, corrected`;
    steps.push(await story.commit(`edited to "${content}"`, [changed(message, { content })], (sql) => sql.set(message, 'text', content)));
  };
  for (let number = 1; number <= BEFORE; number += 1) await say(number);
  if (!(await story.until('waiting for the traffic to reach the receiver', () => death !== undefined))) throw new StoryBroken('the traffic did not reach the receiver');
  await death;
  receiver.beforeAnswer = () => Promise.resolve(true);
  screen.note(`kill -9 ${pid}, while request ${KILLED_AT} of this traffic was unanswered; the chat goes on without a bridge`);
  for (let number = BEFORE + 1; number <= BEFORE + AFTER; number += 1) await say(number);
  screen.waiting('waiting for the new process');
  const since = performance.now();
  await bridge.startBridge();
  screen.note(`started again as ${bridge.pid}; it streams after ${((performance.now() - since) / 1000).toFixed(1)} s`);
  await story.arrived(steps);
  for (const step of steps) story.show(step, false);
}

/** In the end one more, which shows that nothing came after what must not come. */
export async function lastWord(story: Story, cast: Cast): Promise<void> {
  story.screen.chapter('And all is as before');
  const bye = draft(cast.general, cast.ben, 'Good night');
  await story.step(`message "${bye.text}" in ${bye.channel.title}`, [created(bye)], (sql) => sql.write(bye));
  await story.untilRow('waiting for the deliveries to be settled', `SELECT count(*) AS value FROM slackchat_bridge.deliveries`, '0');
}
