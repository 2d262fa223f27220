import { RULES, type Finding, type Rule } from './rules.js';
import type { Result } from './run.js';

const COLUMNS = ['scenario', 'steps', 'theirs', 'ours', 'equal', 'explained', 'unexplained', 'not built'] as const;

const count = (findings: readonly Finding[], verdict: Finding['verdict']): number => findings.filter((finding) => finding.verdict === verdict).length;

/** Every difference of a scenario in full: what the application has after a minus, what the bridge has after a plus. */
export function differencesOf({ name, findings }: Result): string {
  return findings
    .filter(({ verdict }) => verdict !== 'equal')
    .map(({ step, label, about, verdict, rules, missing, detail }) => {
      const why = verdict === 'explained' ? rules.join(', ') : verdict === 'not built' ? `not-built-yet: ${missing ?? ''}` : 'UNEXPLAINED';
      return `${name}, step ${step} (${label}), ${about}: ${why}\n${detail}\n`;
    })
    .join('\n');
}

/** Messages and requests, per step and endpoint, by scenario; then what explains the differences and what is not built. */
export function table(results: readonly Result[]): string {
  const rows = results.map(({ name, steps, theirs, ours, findings }) => [name, steps, theirs, ours, count(findings, 'equal'), count(findings, 'explained'), count(findings, 'unexplained'), count(findings, 'not built')]);
  const total = ['all', ...COLUMNS.slice(1).map((_, index) => rows.reduce((sum, row) => sum + Number(row[index + 1]), 0))];
  const cells = [COLUMNS, ...rows, total].map((row) => row.map(String));
  const widths = COLUMNS.map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  const line = (row: readonly string[]): string => row.map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0))).join('  ');
  return [...cells.map(line), '', ...reasons(results.flatMap(({ findings }) => findings))].join('\n');
}

function reasons(findings: readonly Finding[]): readonly string[] {
  const rules = new Map<Rule, number>();
  for (const { rules: given, verdict } of findings) if (verdict === 'explained') for (const rule of given) rules.set(rule, (rules.get(rule) ?? 0) + 1);
  const missing = new Map<string, number>();
  for (const { missing: lacking } of findings) if (lacking !== undefined) missing.set(lacking, (missing.get(lacking) ?? 0) + 1);
  return [
    ...[...rules].sort((a, b) => b[1] - a[1]).map(([rule, times]) => `${String(times).padStart(4)}  ${rule}: ${RULES[rule]}`),
    ...[...missing].map(([what, times]) => `${String(times).padStart(4)}  not-built-yet: ${what}`),
  ];
}

export function failed(results: readonly Result[], strict: boolean): boolean {
  return results.some(({ findings }) => count(findings, 'unexplained') > 0 || (strict && count(findings, 'not built') > 0));
}
