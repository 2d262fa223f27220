import type pg from 'pg';
import { errorCode } from '../errors.js';
import { qualifiedName, quoteIdent, type TableMapping } from '../mapping.js';
import { MIRROR_OFF, planMirror, unusable, type MirrorAction } from './mirror-plan.js';
import type { Term } from './term.js';
import { inTransaction } from './pool.js';
import { OWN_WRITE } from './webhooks.js';

export interface Synced {
  /** webhooks that are to be challenged anew */
  readonly challenge: ReadonlySet<string>;
  /** webhooks that stay verified unless a challenge fails */
  readonly doubted: ReadonlySet<string>;
  /** rows of the application's that cannot be endpoints, with the rule that they break */
  readonly refused: readonly RefusedRow[];
}

export interface RefusedRow {
  readonly id: string;
  /** it may hold a password */
  readonly endpoint: string | null;
  readonly rule: string;
}

/** The application's own table of webhooks. Only `verified` is ever written there. */
export class MirrorStore {
  readonly #pool: pg.Pool;
  readonly #term: Term;
  readonly #table: string;
  readonly #id: string;
  readonly #endpoint: string;
  readonly #verified: string;

  constructor(pool: pg.Pool, term: Term, table: TableMapping) {
    const column = (logical: string): string => quoteIdent(table.columns[logical] ?? logical);
    this.#pool = pool;
    this.#term = term;
    this.#table = qualifiedName(table);
    this.#id = column('id');
    this.#endpoint = column('endpoint');
    this.#verified = column('verified');
  }

  /**
   * Makes slackchat_bridge.webhooks what the application's table says; see planMirror.
   * @throws {TakenOverError} when another instance leads
   */
  async sync(saved: ReadonlyMap<string, boolean>, beginning: boolean): Promise<Synced> {
    return this.#term.transaction(async (client) => {
      const app = await client.query<{ id: string; endpoint: string | null; verified: string | null }>(
        `SELECT ${this.#id}::text AS id, ${this.#endpoint}::text AS endpoint, ${this.#verified} AS verified FROM ${this.#table} w ORDER BY w.${this.#id}`,
      );
      const rows = await client.query<{ id: string; endpoint: string; source_id: string | null; verified: string; enabled: string; disabled_reason: string | null }>(
        'SELECT id, endpoint, source_id, verified, enabled, disabled_reason FROM slackchat_bridge.webhooks ORDER BY id',
      );
      const { actions, challenge, doubted } = planMirror(
        app.rows.map((row) => ({ id: row.id, endpoint: row.endpoint, verified: row.verified === 't' })),
        rows.rows.map((row) => ({ id: row.id, endpoint: row.endpoint, sourceId: row.source_id, verified: row.verified === 't', enabled: row.enabled === 't', disabledReason: row.disabled_reason })),
        saved,
        beginning,
      );
      const all = new Set(challenge);
      const refused: RefusedRow[] = [];
      if (actions.length === 0) return { challenge: all, doubted, refused };
      await client.query(OWN_WRITE);
      // Each address belongs to one row at a time, in the order of the actions too.
      await client.query('UPDATE slackchat_bridge.webhooks SET source_id = NULL WHERE id = ANY ($1)', [actions.flatMap((action) => (action.kind === 'adopt' ? action.webhookId : []))]);
      for (const action of actions) {
        const { webhookId, rule } = await this.#apply(client, action);
        if (webhookId !== null) all.add(webhookId);
        if (rule !== null && 'endpoint' in action) refused.push({ id: action.sourceId, endpoint: action.endpoint, rule });
      }
      return { challenge: all, doubted, refused };
    });
  }

  /** Writes what became of an endpoint to the application's rows, if it still is so and they do not say it yet. */
  async tick(endpoint: string, verified: boolean): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      const result = await client.query(
        `UPDATE ${this.#table} SET ${this.#verified} = $2::boolean
          WHERE ${this.#endpoint}::text = $1 AND ${this.#verified} IS DISTINCT FROM $2::boolean
            AND EXISTS (SELECT FROM slackchat_bridge.webhooks w WHERE w.endpoint = $1 AND (w.verified AND w.disabled_reason IS NULL) = $2::boolean)`,
        [endpoint, verified],
      );
      if ((result.rowCount ?? 0) > 0) await client.query(OWN_WRITE);
    });
  }

  /** A row that cannot be an endpoint is not a verified one, as long as it says what it said. */
  async untick({ id, endpoint }: RefusedRow): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      const result = await client.query(
        `UPDATE ${this.#table} SET ${this.#verified} = false WHERE ${this.#id}::text = $1 AND ${this.#endpoint}::text IS NOT DISTINCT FROM $2 AND ${this.#verified}`,
        [id, endpoint],
      );
      if ((result.rowCount ?? 0) > 0) await client.query(OWN_WRITE);
    });
  }

  async #apply(client: pg.PoolClient, action: MirrorAction): Promise<{ readonly webhookId: string | null; readonly rule: string | null }> {
    const change = (sql: string, values: readonly unknown[] = []): Promise<pg.QueryResult<{ id: string }>> => client.query(sql, [...values]);
    let webhookId: string | null = null;
    let rule: string | null = null;
    if (action.kind === 'insert') {
      rule = await brokenRule(client, async () => {
        const { rows } = await change('INSERT INTO slackchat_bridge.webhooks (endpoint, source_id) VALUES ($1, $2) ON CONFLICT (endpoint) DO NOTHING RETURNING id', [action.endpoint, action.sourceId]);
        webhookId = rows[0]?.id ?? null;
      });
    } else if (action.kind === 'move') {
      rule = await brokenRule(client, () => change(MOVE, [action.webhookId, action.endpoint, action.enable]));
      // What is parked for the address that it had is kept until there is one again.
      if (rule !== null) await change(DISABLE, [action.webhookId, unusable(rule)]);
    } else if (action.kind === 'adopt') {
      await change('UPDATE slackchat_bridge.webhooks SET source_id = $2 WHERE id = $1', [action.webhookId, action.sourceId]);
    } else {
      await change(SIMPLE[action.kind], [action.webhookId]);
    }
    return { webhookId, rule };
  }
}

const SIMPLE = {
  remove: 'DELETE FROM slackchat_bridge.webhooks WHERE id = $1',
  enable: 'UPDATE slackchat_bridge.webhooks SET enabled = true, disabled_reason = NULL WHERE id = $1',
  unverify: 'UPDATE slackchat_bridge.webhooks SET verified = false, verified_at = NULL WHERE id = $1',
} as const;

const MOVE = `UPDATE slackchat_bridge.webhooks
   SET endpoint = $2, verified = false, verified_at = NULL, last_error = NULL, last_error_at = NULL,
       enabled = enabled OR $3, disabled_reason = CASE WHEN $3 THEN NULL ELSE disabled_reason END
 WHERE id = $1`;

const DISABLE = `UPDATE slackchat_bridge.webhooks
   SET verified = false, verified_at = NULL, enabled = false, disabled_reason = $2, last_error = $2, last_error_at = now()
 WHERE id = $1 AND disabled_reason IS DISTINCT FROM $2`;

/** APP_WEBHOOKS is off: nothing goes to the endpoints of the application's table; what is parked for them is kept. */
export async function disableMirrored(pool: pg.Pool): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query(OWN_WRITE);
    await client.query('UPDATE slackchat_bridge.webhooks SET enabled = false, disabled_reason = $1 WHERE source_id IS NOT NULL AND enabled', [MIRROR_OFF]);
  });
}

/** @returns the rule of the bridge's table that the row breaks; null: none */
async function brokenRule(client: pg.PoolClient, write: () => Promise<unknown>): Promise<string | null> {
  await client.query('SAVEPOINT row');
  try {
    await write();
    await client.query('RELEASE SAVEPOINT row');
    return null;
  } catch (error) {
    const code = errorCode(error);
    if (code !== '23514' && code !== '23502') throw error;
    await client.query('ROLLBACK TO SAVEPOINT row');
    const rule = typeof error === 'object' && error !== null && 'constraint' in error && typeof error.constraint === 'string' ? error.constraint : 'endpoint_must_not_be_null';
    return rule.replaceAll('_', ' ');
  }
}
