import Fastify from 'fastify';
import { handler } from 'slackchat-bridge/receiver';

const { WEBHOOK_VERIFICATION_TOKEN: token, WEBHOOK_SECRET: secret, PORT = '4801' } = process.env;
if (token === undefined) throw new Error('set WEBHOOK_VERIFICATION_TOKEN to what the bridge sends');

const print = (line) => process.stdout.write(`${line}\n`);
const app = Fastify();

// In a scope of its own: only here is a body kept as it came, which the signature is made over.
app.register(async (scope) => {
  scope.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: 64 * 1024 * 1024 }, (_request, body, done) => done(null, body));
  scope.post('/slackchat', handler({
    token,
    ...(secret === undefined ? {} : { secret }),
    onMessage: ({ update_type, channel, message }) => print(`${update_type} in ${channel}: ${message.content ?? ''}`),
    onNotification: ({ type, channel }) => print(`${type} for ${channel}`),
  }));
});

await app.listen({ host: '127.0.0.1', port: Number(PORT) });
print(`listening on http://127.0.0.1:${PORT}/slackchat`);
