import type { Cast } from './chat.js';
import type { Receiver } from './receiver.js';
import type { Screen } from './screen.js';

export interface Playground {
  readonly url: string;
  readonly receiver: Receiver;
  readonly adminUrl: string;
  readonly cast: Cast;
}

/** Everything goes on running, and what arrives is shown. Resolves when the signal aborts. */
export async function play(screen: Screen, { url, receiver, adminUrl, cast }: Playground, signal: AbortSignal): Promise<void> {
  const { general, ana } = cast;
  screen.chapter('Yours to play with, until Ctrl-C');
  screen.line(`  psql "${url}"`);
  screen.line(`  receiver     ${receiver.url}`);
  screen.line(`  bridge       ${adminUrl}/ (the status page; also /readyz, /metrics, /api/status)`);
  screen.line('  Try');
  screen.line(`    INSERT INTO slackchat_message (timestamp, text, channel_id, user_id) VALUES (now(), 'Hello from psql', '${general.id}', ${ana.id});`);
  screen.line('  A receiver of your own: slackchat-bridge listen, and');
  screen.line(`    INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1:4800/');`);
  screen.line();
  receiver.onAccepted = ({ id, body }) => {
    const { update_type: kind, type, message, channel } = body;
    screen.line(`  ${new Date().toISOString().slice(11, 23)} ${String(kind ?? type)} ${JSON.stringify(message ?? { channel })} ${screen.paint('dim', id)}`);
  };
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    // A server and a child process alone do not keep this process alive on every platform.
    const stay = setInterval(() => undefined, 60_000);
    signal.addEventListener('abort', () => {
      clearInterval(stay);
      resolve();
    }, { once: true });
  });
}
