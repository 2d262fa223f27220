import type { Client } from 'pg';
import { parseLine, type Write } from '../conformance/journal.js';
import { parseLsn } from '../src/lsn.js';

export interface Commit {
  /** end of the commit record */
  readonly end: bigint;
  readonly xid: string;
  /** milliseconds since 1970 */
  readonly time: number;
  /** of the chat's tables as 'message', of the bridge's as 'webhooks', of the run's own as 'ledger' */
  readonly writes: readonly Write[];
  /** what was asked of the bridge by logical messages */
  readonly requests: readonly string[];
  /** about as large as the transaction was in the WAL */
  readonly bytes: number;
}

interface Line extends Record<string, unknown> {
  readonly lsn: string;
  readonly xid: string;
  readonly data: string;
}

const COMMIT = /^COMMIT \d+ \(at (?<time>[^)]+)\)$/u;
const MESSAGE = /^message: transactional: 1 prefix: slackchat_bridge, sz: \d+ content:(?<content>[^]*)$/u;
const READ_AT_ONCE = 20_000;

/** What was really committed, in commit order: the server's own truth, by a slot of its own with PostgreSQL's test_decoding. */
export class Journal {
  readonly #slot: string;
  #read = 0n;

  constructor(slot: string) {
    this.#slot = slot;
  }

  async begin(client: Client): Promise<void> {
    await client.query("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", [this.#slot]);
  }

  /** Some of the transactions that were not read yet; null when there is nothing more. */
  async take(client: Client): Promise<readonly Commit[] | null> {
    // Looked at first and moved on after: what is read may be lost on the way to here.
    const { rows } = await client.query<Line>(
      "SELECT lsn::text, xid::text, data FROM pg_logical_slot_peek_changes($1, NULL, $2, 'include-timestamp', '1', 'skip-empty-xacts', '1')",
      [this.#slot, READ_AT_ONCE],
    );
    const commits: Commit[] = [];
    let writes: Write[] = [];
    let requests: string[] = [];
    let bytes = 0;
    for (const { lsn, xid, data } of rows) {
      bytes += data.length;
      const committed = COMMIT.exec(data)?.groups;
      if (committed !== undefined) {
        const end = parseLsn(lsn);
        if (end > this.#read) commits.push({ end, xid, time: Date.parse(committed['time'] ?? ''), writes, requests, bytes });
        [writes, requests, bytes] = [[], [], 0];
        continue;
      }
      const request = MESSAGE.exec(data)?.groups;
      if (request !== undefined) requests.push(request['content'] ?? '');
      else writes.push(...writesOf(data));
    }
    const last = rows.findLast(({ data }) => COMMIT.test(data));
    if (last === undefined) return null;
    this.#read = commits.at(-1)?.end ?? this.#read;
    // Where that fails the same is read again, and left out.
    await client.query('SELECT pg_replication_slot_advance($1, $2::pg_lsn)', [this.#slot, last.lsn]).catch(() => undefined);
    return commits;
  }
}

function writesOf(line: string): readonly Write[] {
  // The bridge's own rows hold whole payloads, and nothing that is wanted here.
  if (line.startsWith('table slackchat_bridge.deliveries:')) return [];
  for (const prefix of ['public.slackchat_', 'slackchat_bridge.', 'torture.']) {
    const write = parseLine(line, prefix);
    if (write !== null) return [write];
  }
  return [];
}
