import { z } from 'zod';
import { SETTINGS } from '../src/config.js';

/** Every setting with what the schema says of it. @throws {Error} for one without a description */
export function settingsTable(): string {
  const rows = Object.entries(SETTINGS.shape).map(([name, field]) => {
    if (field.description === undefined) throw new Error(`${name} has no description in src/config.ts`);
    return `| \`${name}\` | ${standard(field)} | ${accepted(field)} | ${field.description} |`;
  });
  return ['| variable | default | accepted | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** What an unset variable becomes; a required one fails. */
function standard(field: z.ZodType): string {
  const result = z.safeParse(field, undefined);
  if (!result.success) return 'required';
  const standards = z.union([z.null().transform(() => ''), z.string(), z.number(), z.array(z.string()).transform((list) => list.join(',')), z.undefined().transform(() => '')]);
  const shown = String(standards.parse(result.data));
  return shown === '' ? '' : `\`${shown}\``;
}

/** What the message for a value says that nothing accepts. */
function accepted(field: z.ZodType): string {
  const result = z.safeParse(field, '\u0000');
  return result.success ? '' : (result.error.issues[0]?.message ?? '');
}
