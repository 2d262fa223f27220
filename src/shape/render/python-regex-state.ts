import type { RegexSource } from './python-regex-source.js';
import { widthOf, type Sequence, type Width } from './python-regex-syntax.js';
import { repr } from './python-repr.js';

/** Flags and groups met so far. */
export class ParserState {
  flags = 0;
  readonly names = new Map<string, number>();
  /** by group; null while it is open */
  readonly widths: (Width | null)[] = [null];
  /** groups that conditions refer to, which may come later, and where */
  readonly conditions = new Map<number, number>();
  /** while in a look-behind: the number of groups before it */
  lookBehindGroups: number | null = null;

  get count(): number {
    return this.widths.length;
  }

  open(name: string | null, source: RegexSource): number {
    const group = this.count;
    this.widths.push(null);
    if (name !== null) {
      const known = this.names.get(name);
      if (known !== undefined) {
        throw source.error(
          `redefinition of group name ${repr(name)} as group ${group}; was group ${known}`,
          Array.from(name).length + 1,
        );
      }
      this.names.set(name, group);
    }
    return group;
  }

  close(group: number, body: Sequence): void {
    this.widths[group] = widthOf(body, this.widths);
  }

  isClosed(group: number): boolean {
    return (this.widths[group] ?? null) !== null;
  }

  /** For back-references: the group has to be closed. */
  checkReference(group: number, source: RegexSource, back: number): void {
    if (!this.isClosed(group)) throw source.error('cannot refer to an open group', back);
    this.checkLookBehind(group, source);
  }

  checkLookBehind(group: number, source: RegexSource): void {
    if (this.lookBehindGroups === null) return;
    if (!this.isClosed(group)) throw source.error('cannot refer to an open group');
    if (group >= this.lookBehindGroups) {
      throw source.error('cannot refer to group defined in the same lookbehind subpattern');
    }
  }
}

export function checkName(name: string, source: RegexSource): void {
  if (!isIdentifier(name)) throw source.error(`bad character in group name ${repr(name)}`, Array.from(name).length + 1);
}

export const isIdentifier = (name: string): boolean => /^[\p{XID_Start}_][\p{XID_Continue}]*$/u.test(name);
