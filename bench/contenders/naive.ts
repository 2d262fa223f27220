import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import { Pool } from 'undici';

/** What is written in an afternoon: the package's service, and one awaited request after another. */
const { URL: url = '', SLOT: slot = '', PUBLICATION: publication = '', ENDPOINT: endpoint = '' } = process.env;
const { origin, pathname } = new URL(endpoint);
const pool = new Pool(origin);

const service = new LogicalReplicationService({ connectionString: url }, { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } });

service.on('data', async (lsn: string, log: { tag: string; new?: Record<string, unknown>; relation?: { name: string } }) => {
  if (log.tag === 'insert' && log.relation?.name === 'slackchat_message') {
    const { timestamp, user_id: user, text: content, channel_id: channel } = log.new ?? {};
    const body = JSON.stringify({ token: 'bench', type: 'update_notification', channel, update_type: 'message_created', message: { timestamp, user, content } });
    const answer = await pool.request({ path: pathname, method: 'POST', headers: { 'content-type': 'application/json' }, body });
    await answer.body.dump();
  } else if (log.tag === 'commit') {
    await service.acknowledge(lsn);
  }
});
await service.subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] }), slot);
