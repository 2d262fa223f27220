import { NO_CHILDREN, type Children } from '../../src/shape/coalesce.js';
import { Directory } from '../../src/shape/directory.js';
import { Rendering } from '../../src/shape/render/rendering.js';
import { Shaper, type Output, type ShapeOptions, type ShapeSource, type Snapshot, type StoredMessage } from '../../src/shape/shaper.js';
import type { Shaping } from '../../src/shape/work.js';
import type { Notification, Row, Transaction } from '../../src/types.js';
import { message, transactionOf, type Unplaced } from './changes.js';

/** A database as the shaper sees it, which notes what is read and can fail. */
export class MemorySource implements ShapeSource {
  readonly messages = new Map<string, StoredMessage>();
  readonly reads: (readonly string[])[] = [];
  channels: string[] = ['c1', 'c2'];
  readAt = 0n;
  failures = 0;
  channelFailures = 0;

  store(id: string, over: Row = {}, { maintained = false, children = {} }: { maintained?: boolean; children?: Partial<Children> } = {}): void {
    this.messages.set(id, { row: message(id, over), maintained, children: { ...NO_CHILDREN, ...children } });
  }

  async read(ids: readonly string[]): Promise<Snapshot> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('the connection broke');
    }
    this.reads.push(ids);
    const absent: StoredMessage = { row: null, maintained: false, children: NO_CHILDREN };
    return { messages: new Map(ids.map((id) => [id, this.messages.get(id) ?? absent])), readAt: this.readAt };
  }

  async sizes(ids: readonly string[]): Promise<readonly (readonly [string, number])[]> {
    return ids.map((id) => [id, this.messages.get(id)?.row?.['text']?.length ?? 0]);
  }

  async channelIds(after: string | null, limit: number): Promise<readonly string[]> {
    if (this.channelFailures > 0) {
      this.channelFailures -= 1;
      throw new Error('the connection broke');
    }
    return this.channels.filter((id) => after === null || id > after).slice(0, limit);
  }
}

export interface Bench {
  readonly source: MemorySource;
  readonly shaper: Shaper<string>;
  readonly anomalies: string[];
  readonly lookups: string[];
  /** Each transaction's ledger entry is its number as text. */
  readonly shape: (now: number, ...transactions: readonly Transaction[]) => Promise<readonly Output<string>[]>;
}

export function bench(options: Partial<ShapeOptions> = {}): Bench {
  const source = new MemorySource();
  const anomalies: string[] = [];
  const lookups: string[] = [];
  const directory = new Directory(
    async (entity, ids) => {
      lookups.push(...ids.map((id) => `${entity} ${id}`));
      return [];
    },
    async () => [],
    100,
  );
  for (const id of ['c1', 'c2']) directory.put('channel', { id, chat_type_id: 't1' });
  directory.put('chatType', { id: 't1', name: 'default' });
  directory.put('user', { id: 'u1', api_id: 'USER1' });
  directory.put('argument', { id: 'a1', name: 'first' });
  const shaper = new Shaper<string>(source, directory, { settleMs: 250, storedBefore: () => 0n, channelIdFormat: 'uuid', maxPayloadBytes: 1_000_000, rendering: new Rendering(async () => null, 1_000_000), channelRequests: false, shard: null, onAnomaly: (kind) => anomalies.push(kind), ...options });
  // What a read failed for is begun again, as the bridge does.
  let begun: Shaping<string> | null = null;
  const shape: Bench['shape'] = async (now, ...transactions) => {
    begun ??= shaper.take(
      transactions.map((transaction) => ({ transaction, entry: String(transaction.xid) })),
      '7',
    );
    const outputs: Output<string>[] = [];
    while (!begun.done) outputs.push(...(await shaper.shape(begun, now)));
    begun = null;
    return outputs;
  };
  return { source, shaper, anomalies, lookups, shape };
}

export const notifications = (outputs: readonly Output<string>[]): Notification[] =>
  outputs.flatMap((output) => (output.kind === 'notify' ? [output.notification] : []));
/** Entry and kind of each, of a notification what it is about. */
export const summary = (outputs: readonly Output<string>[]): string[] =>
  outputs.map(
    (output) =>
      `${output.entry} ${output.kind === 'notify' ? `${output.notification.updateType ?? 'channel'} ${output.notification.messageId ?? output.notification.channelId}` : output.kind}`,
  );
export function body(notification: Notification | undefined): unknown {
  return JSON.parse(notification?.body ?? 'null');
}
export const transaction = (xid: number, ...changes: readonly Unplaced[]): Transaction => transactionOf(xid, changes);
