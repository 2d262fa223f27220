/** repr() and ascii() of a Python `str`. */

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

export function repr(text: string): string {
  return quoted(text, (character) => /^[ \P{Z}]$/u.test(character) && !/^\p{C}$/u.test(character));
}

export function ascii(text: string): string {
  return quoted(text, (character) => character >= ' ' && character <= '~');
}

function quoted(text: string, printable: (character: string) => boolean): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let result = quote;
  for (const character of text) {
    if (character === quote) result += `\\${quote}`;
    else result += ESCAPES[character] ?? (printable(character) ? character : escaped(character.codePointAt(0) ?? 0));
  }
  return result + quote;
}

function escaped(code: number): string {
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
