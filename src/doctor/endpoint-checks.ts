import { tableName } from '../mapping.js';
import { withoutQuery } from '../reports.js';
import type { Row } from '../types.js';
import { ok, unseen, warning, type Check } from './check.js';
import type { EndpointRow, Survey } from './survey.js';

/** A position that is never reached: such an endpoint is challenged and told nothing. */
const NEVER = 'FFFFFFFF/FFFFFFFF';
const LIMIT = 20;

export interface TemplateFault {
  readonly templateId: string;
  readonly reason: string;
}

export interface Application {
  /** APP_WEBHOOKS is mirror */
  readonly mirrored: boolean;
  readonly table: string;
  /** WEBHOOK_VERIFICATION_TOKEN is set */
  readonly tokenSet: boolean;
  /** what does not compile whatever the text */
  readonly templateFaults: (rows: readonly Row[]) => readonly TemplateFault[];
}

/** What is registered, what waits, and what the application does beside. */
export function endpointChecks(survey: Survey, application: Application): readonly Check[] {
  // That there is nothing of the bridge yet is told by another check.
  const there = !survey.own.known || survey.own.value.schemaExists;
  return [...(there ? [...endpoints(survey, application), ...deliveries(survey)] : []), appWebhooks(survey, application), ...templates(survey, application)];
}

function endpoints({ endpoints: fact }: Survey, { tokenSet }: Application): readonly Check[] {
  const name = 'endpoints';
  if (!fact.known) return [unseen(name, fact.why, null)];
  const rows = fact.value;
  if (rows.length === 0) return [warning(name, 'none is registered: nobody is told anything', "INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('https://…');")];
  const faults = rows.flatMap((row) => fault(name, row));
  const well = rows.length - faults.length;
  const token = !tokenSet && rows.some((row) => !row.hasToken) ? [warning('token', 'WEBHOOK_VERIFICATION_TOKEN is not set here, and endpoints without a token of their own need it', 'set WEBHOOK_VERIFICATION_TOKEN where the bridge runs')] : [];
  const more = faults.length > LIMIT ? [warning(name, `${faults.length - LIMIT} more are not well`, 'slackchat-bridge webhooks list')] : [];
  return [...(well > 0 ? [ok(name, `${well} of ${rows.length} verified and well`)] : []), ...faults.slice(0, LIMIT), ...more, ...token];
}

function fault(name: string, row: EndpointRow): readonly Check[] {
  const called = `${row.id} ${withoutQuery(row.endpoint)}`;
  const verify = `SELECT slackchat_bridge.verify(${row.id});`;
  if (!row.enabled) return [warning(name, `${called} is disabled${row.disabledReason === null ? '' : `: ${row.disabledReason}`}`, `UPDATE slackchat_bridge.webhooks SET enabled = true WHERE id = ${row.id};`)];
  if (!row.verified) return [warning(name, `${called} is not verified, so nothing is sent there: ${row.lastError ?? 'it was not challenged yet (does a bridge run?)'}`, `mend the receiver, then ${verify}`)];
  if (row.deliverFrom === NEVER) return [warning(name, `${called} is told nothing: deliver_from is ${NEVER}`, `UPDATE slackchat_bridge.webhooks SET deliver_from = NULL WHERE id = ${row.id};`)];
  return row.lastError === null ? [] : [warning(name, `${called} fails: ${row.lastError}`, 'mend the receiver; what waits for it is tried again by itself')];
}

function deliveries({ parked }: Survey): readonly Check[] {
  const name = 'deliveries';
  if (!parked.known) return [unseen(name, parked.why, null)];
  const { waiting, dead, oldestSeconds } = parked.value;
  const waits = waiting === 0 ? 'none waits' : `${waiting} wait, the oldest for ${Math.round(oldestSeconds ?? 0)} s`;
  return [
    (oldestSeconds ?? 0) > 3_600 ? warning(name, waits, 'slackchat-bridge deliveries list') : ok(name, waits),
    dead === 0
      ? ok('dead_deliveries', 'none')
      : warning('dead_deliveries', `${dead} were given up`, 'SELECT slackchat_bridge.retry_all(id) FROM slackchat_bridge.webhooks; or SELECT slackchat_bridge.purge(\'0\');'),
  ];
}

function appWebhooks({ appWebhooks: fact }: Survey, { mirrored, table }: Application): Check {
  const name = 'application_webhooks';
  if (!fact.known) return unseen(name, fact.why, null);
  if (fact.value === null) return ok(name, `there is no table ${table}`);
  const { verified, all } = fact.value;
  if (verified === 0) return ok(name, all === 0 ? `${table} is empty: the application posts nothing by itself` : `${table} has ${all} rows, none verified: the application posts nothing by itself`);
  return mirrored
    ? ok(name, `${table} has ${verified} verified rows, which are mirrored; the application must no longer post by itself (docs/take-over.md)`)
    : warning(name, `${table} has ${verified} verified rows: the application posts there by itself, and what is registered in slackchat_bridge.webhooks too hears everything twice`, `take over as docs/take-over.md says; it ends with: DELETE FROM ${table};`);
}

function templates({ templates: fact, names }: Survey, { templateFaults }: Application): readonly Check[] {
  const name = 'templates';
  if (!fact.known) return [unseen(name, fact.why, null)];
  const faults = templateFaults(fact.value);
  if (faults.length === 0) return [ok(name, fact.value.length === 0 ? 'there are none' : `all ${fact.value.length} compile`)];
  const table = names.tables.find(({ entity }) => entity === 'template');
  const said = faults.slice(0, LIMIT).map(({ templateId, reason }) => {
    const where = table === undefined ? '' : `, row ${templateId} of ${tableName(table)}`;
    return warning(name, `custom content template ${templateId} is in error, so it leaves texts as they are: ${reason}`, `mend it in the application's admin${where}`);
  });
  return faults.length > LIMIT ? [...said, warning(name, `${faults.length - LIMIT} more are in error`, 'mend the first ones, then look again')] : said;
}
