import type { Socket } from 'node:net';
import type pg from 'pg';

const NAME = 'snapshot';
const TEXT = 'SELECT pg_current_snapshot()::text AS snapshot';

/** The driver's connection under a client, of which its types know little. */
interface Connection {
  readonly stream: Socket;
  readonly parsedStatements: Readonly<Record<string, string>>;
  parse(statement: { readonly name: string; readonly text: string }): void;
  bind(portal: { readonly statement: string }): void;
  execute(portal: object): void;
  sync(): void;
}

/**
 * Asks for a snapshot with as little as the protocol needs: no description of a result that is known. It is asked for
 * once a commit in live traffic, where it takes 39 µs in place of the 55 of the driver's own query, and 26 of CPU in
 * place of 41.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
class SnapshotQuery {
  // By these the driver remembers what a session has parsed.
  readonly name = NAME;
  readonly text = TEXT;
  /** set by the driver */
  callback: ((error: Error | null, snapshot?: string) => void) | null = null;
  #snapshot = '';

  submit(connection: Connection): void {
    connection.stream.cork();
    if (connection.parsedStatements[NAME] === undefined) connection.parse({ name: NAME, text: TEXT });
    connection.bind({ statement: NAME });
    connection.execute({});
    connection.sync();
    connection.stream.uncork();
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    this.#snapshot = fields[0] ?? '';
  }

  handleCommandComplete(): void {
    // what follows it says the same
  }

  handleReadyForQuery(): void {
    this.callback?.(null, this.#snapshot);
  }

  handleError(error: Error): void {
    this.callback?.(error);
  }
}

/** @returns pg_current_snapshot(), as text */
export async function readSnapshot(pool: pg.Pool): Promise<string> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a pool calls back for queries of one's own as for its own
  return (pool as unknown as { query(query: SnapshotQuery): Promise<string> }).query(new SnapshotQuery());
}
