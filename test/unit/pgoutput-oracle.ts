import { PgoutputPlugin, type Pgoutput } from 'pg-logical-replication';
import { parseLsn } from '../../src/lsn.js';

/**
 * What a decoder that watches one table for every column has to make of a message, by the package's
 * parser, told to leave text as it is.
 * It drops a U+FEFF at the begin of a text, and reads the xid as signed.
 */
export class Oracle {
  readonly #prefix: string;
  readonly #plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ['p'], messages: true });

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  read(data: Buffer): unknown {
    const message = this.#plugin.parse(data);
    switch (message.tag) {
      case 'begin':
        return { tag: 'begin', xid: message.xid >>> 0, commitLsn: parseLsn(message.commitLsn ?? '0/0'), committedAt: Number(message.commitTime) / 1000 };
      case 'commit':
        return { tag: 'commit', endLsn: parseLsn(message.commitEndLsn ?? '0/0') };
      case 'relation':
        for (const column of message.columns) column.parser = (text: string) => text;
        return null;
      case 'insert':
        return row('insert', null, message.new);
      case 'update':
        return row('update', message.old ?? message.key, message.new);
      case 'delete':
        return row('delete', message.old ?? message.key, null);
      case 'truncate':
        return { tag: 'truncate', entities: message.relations.map(() => 'message') };
      case 'message':
        return message.transactional && message.prefix === this.#prefix ? { tag: 'control', content: Buffer.from(message.content).toString() } : null;
      default:
        return null;
    }
  }
}

const row = (op: string, before: Pgoutput.MessageDelete['old'], after: Pgoutput.MessageDelete['old']): unknown => ({
  tag: 'row',
  change: { op, entity: 'message', before: before === null ? null : { ...before }, after: after === null ? null : { ...after } },
});
