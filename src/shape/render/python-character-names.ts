import { createRequire } from 'node:module';

/** The part of `unicode-name` that is used here; it brings no types. */
interface Names {
  unicodeBaseName(code: number): string | undefined;
  unicodeCorrectName(code: number): string | undefined;
  unicodeAliases(code: number): Readonly<Record<string, readonly string[] | undefined>> | undefined;
}

let byName: ReadonlyMap<string, number> | undefined;

/** `\N{...}`: the code point of a name, or null. The table is loaded when the first such escape is met. */
export function codePointNamed(name: string): number | null {
  const wanted = name.toUpperCase();
  const ideograph = /^CJK UNIFIED IDEOGRAPH-([0-9A-F]{4,5})$/u.exec(wanted)?.[1];
  if (ideograph !== undefined) {
    const code = Number.parseInt(ideograph, 16);
    return /^\p{Unified_Ideograph}$/u.test(String.fromCodePoint(code)) ? code : null;
  }
  byName ??= table();
  return byName.get(wanted) ?? null;
}

function table(): ReadonlyMap<string, number> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const names = createRequire(import.meta.url)('unicode-name') as Names;
  const found = new Map<string, number>();
  for (let code = 0; code < 0xe01f0; code += 1) {
    const character = String.fromCodePoint(code);
    if (!/^[\p{Assigned}]$/u.test(character) || /^[\p{Unified_Ideograph}\p{Co}\p{Cs}]$/u.test(character)) continue;
    const name = names.unicodeBaseName(code);
    if (name !== undefined && !found.has(name)) found.set(name, code);
    const correct = names.unicodeCorrectName(code);
    if (correct !== undefined && !found.has(correct)) found.set(correct, code);
    for (const aliases of Object.values(names.unicodeAliases(code) ?? {})) {
      for (const alias of aliases ?? []) if (!found.has(alias)) found.set(alias, code);
    }
  }
  return found;
}
