import { qualifiedName, quoteIdent, tableName } from '../mapping.js';
import { failure, ok, someOf, unseen, warning, type Check } from './check.js';
import type { Access, Survey } from './survey.js';

/** What the role may do. That it may replicate is tried, not looked up. */
export function accessChecks(survey: Survey): readonly Check[] {
  return [select(survey), rowSecurity(survey), ...ownTables(survey), functions(survey)];
}

const isOwn = ({ schema }: Access): boolean => schema === 'slackchat_bridge';

function select(survey: Survey): Check {
  const name = 'privileges_chat_tables';
  if (!survey.access.known) return unseen(name, survey.access.why, null);
  const chat = survey.access.value.filter((one) => !isOwn(one));
  const refused = chat.filter(({ granted, usage }) => !granted || !usage);
  if (chat.length === 0) return unseen(name, 'there are no chat tables', null);
  if (refused.length === 0) return ok(name, `${roleOf(survey)} may read all ${chat.length} chat tables`);
  return failure(name, `${roleOf(survey)} lacks ${someOf(refused.map(lack))}`, grants(refused, roleOf(survey)));
}

function rowSecurity(survey: Survey): Check {
  const name = 'row_level_security';
  if (!survey.access.known) return unseen(name, survey.access.why, null);
  const filtered = [...new Set(survey.access.value.filter((one) => one.filtered).map(tableName))];
  return filtered.length === 0
    ? ok(name, 'hides no row from this role')
    : failure(name, `policies can hide rows of ${someOf(filtered)} from ${roleOf(survey)}: their messages would be told wrongly`, `ALTER ROLE ${quoteIdent(roleOf(survey))} BYPASSRLS;  -- as a superuser`);
}

function ownTables(survey: Survey): readonly Check[] {
  const name = 'privileges_own_schema';
  if (!survey.access.known) return [unseen(name, survey.access.why, null)];
  const own = survey.access.value.filter(isOwn);
  const refused = own.filter(({ granted, usage }) => !granted || !usage);
  // That there are none yet is told by another check.
  if (own.length === 0) return [];
  if (refused.length === 0) return [ok(name, `${roleOf(survey)} may read and write the bridge's own tables`)];
  return [failure(name, `${roleOf(survey)} lacks ${someOf(refused.map(lack))}`, `slackchat-bridge setup --grant ${roleOf(survey)}  # as the owner of the schema; or: ${grants(refused, roleOf(survey))}`)];
}

function functions(survey: Survey): Check {
  const name = 'privileges_functions';
  if (!survey.refusedFunctions.known) return unseen(name, survey.refusedFunctions.why, null);
  return survey.refusedFunctions.value === 0
    ? ok(name, `none that ${roleOf(survey)} may not call`)
    : warning(name, `${roleOf(survey)} may not call ${survey.refusedFunctions.value} of the functions (verify, retry, resync, …)`, `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA slackchat_bridge TO ${quoteIdent(roleOf(survey))};`);
}

export function roleOf({ server }: Survey): string {
  return server.known ? server.value.role : 'this role';
}

const lack = (one: Access): string => (one.usage ? `${one.privilege} on ${tableName(one)}` : `USAGE on schema ${one.schema}`);

function grants(refused: readonly Access[], role: string): string {
  const to = quoteIdent(role);
  const usage = [...new Set(refused.filter((one) => !one.usage).map(({ schema }) => schema))];
  return [
    ...usage.map((schema) => `GRANT USAGE ON SCHEMA ${quoteIdent(schema)} TO ${to};`),
    ...refused.filter(({ granted }) => !granted).map((one) => `GRANT ${one.privilege} ON ${qualifiedName(one)} TO ${to};`),
  ].join(' ');
}
