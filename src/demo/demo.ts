import { BridgeError } from '../errors.js';
import { play } from './play.js';
import { likeTheApplication, ordinaryDay, transactions } from './scenario.js';
import { Screen } from './screen.js';
import { Stage } from './stage.js';
import { Story, StoryBroken } from './story.js';
import { summarize } from './summary.js';
import { failingReceiver, killed, lastWord } from './troubles.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * All of the bridge on a PostgreSQL of its own: a small chat happens, and what arrives is compared with what must arrive.
 * @throws {BridgeError} with everything that is missing or wrong
 */
export async function runDemo({ keep }: { readonly keep: boolean }): Promise<void> {
  const halt = new AbortController();
  const interrupt = (): void => halt.abort(new BridgeError('interrupted; everything was stopped and removed'));
  for (const signal of SIGNALS) process.on(signal, interrupt);
  // Whoever read the output has gone.
  process.stdout.on('error', interrupt);
  const screen = new Screen();
  const stage = new Stage(screen, halt);
  try {
    await perform(screen, stage, halt, keep);
  } catch (error) {
    // What broke because of the interruption is not worth a word.
    throw halt.signal.aborted && halt.signal.reason instanceof Error ? halt.signal.reason : error;
  } finally {
    screen.waiting(null);
    await stage.strike();
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

async function perform(screen: Screen, stage: Stage, halt: AbortController, keep: boolean): Promise<void> {
  const startedAt = performance.now();
  screen.chapter('Everything is started');
  const { url, pool, cast, receiver } = await stage.start();
  const story = new Story(pool, receiver, screen, halt.signal);
  let broken: Error | null = null;
  try {
    await ordinaryDay(story, cast);
    await transactions(story, cast);
    await likeTheApplication(story, cast);
    await failingReceiver(story, cast);
    await killed(story, cast, stage);
    await lastWord(story, cast);
    // What it still had to send has been sent when it ends; so what has not come by now never comes.
    if (!keep) await stop(stage, screen);
  } catch (error) {
    if (!(error instanceof StoryBroken)) throw error;
    broken = new BridgeError(`${error.message}. The bridge's output ends with:\n${stage.bridgeTail}`);
  }
  summarize(story, screen, (performance.now() - startedAt) / 1000, broken);
  if (keep) await play(screen, { url, receiver, cast, adminUrl: await stage.adminUrl() }, halt.signal);
}

async function stop(stage: Stage, screen: Screen): Promise<void> {
  screen.waiting('the bridge ends');
  const status = await stage.stopBridge();
  screen.waiting(null);
  if (status !== 0) throw new StoryBroken(`the bridge was told to end and did so with exit status ${String(status)}`);
  screen.note('SIGTERM: the bridge has ended with exit status 0');
}
