import { createServer } from 'node:http';
import { handler } from 'slackchat-bridge/receiver';

const { WEBHOOK_VERIFICATION_TOKEN: token, WEBHOOK_SECRET: secret, PORT = '4801' } = process.env;
if (token === undefined) throw new Error('set WEBHOOK_VERIFICATION_TOKEN to what the bridge sends');

const print = (line) => process.stdout.write(`${line}\n`);

const hook = handler({
  token,
  ...(secret === undefined ? {} : { secret }),
  // The bridge has its answer when these are done; if one throws, the bridge sends the notification again.
  onMessage: ({ update_type, channel, message }) => print(`${update_type} in ${channel}: ${message.content ?? ''}`),
  onChannel: ({ channel }) => print(`channel ${channel} has changed`),
  onRepublish: ({ channel }) => print(`channel ${channel} is to be published`),
  onUnpublish: ({ channel }) => print(`channel ${channel} is to be taken down`),
});

createServer(hook).listen(Number(PORT), '127.0.0.1', () => print(`listening on http://127.0.0.1:${PORT}/`));
