import { elements, isObject, text, type Json } from './json.js';

const STAMP = /^(\d{4,})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?$/u;

/**
 * One text for all spellings of an instant, to the microsecond; null for what is no timestamp. Without an offset it
 * is meant in `zone`, as Django takes it.
 */
export function instant(stamp: string, zone: string): string | null {
  const match = STAMP.exec(stamp);
  if (match === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', offset] = match;
  const wall = new Date(0);
  wall.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  wall.setUTCHours(Number(hour), Number(minute), Number(second));
  const seconds = wall.getTime() / 1000 - (offset === undefined ? offsetIn(zone, wall) : offsetSeconds(offset));
  return `${seconds}.${fraction.padEnd(6, '0')}`;
}

/** The value with its timestamps in one spelling: to see whether two payloads differ in that alone. */
export function withInstants(value: Json | undefined, zone: string): Json | undefined {
  if (Array.isArray(value)) return elements(value).map((element) => withInstants(element, zone) ?? null);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const stamp = key === 'timestamp' || key === 'publish_time' ? text(inner) : undefined;
      return [key, stamp === undefined ? (withInstants(inner, zone) ?? null) : (instant(stamp, zone) ?? stamp)];
    }),
  );
}

const NORMAL = /^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?(Z|[+-]\d\d:\d\d)$/u;

/** As Django spells an instant that it read from the database: in the zone, `Z` for no offset, six digits or none. */
export function isNormal(stamp: string, zone: string): boolean {
  const offset = NORMAL.exec(stamp)?.[1];
  const key = instant(stamp, zone);
  if (offset === undefined || key === null) return false;
  // Offsets of local mean time are rounded to the minute.
  const expected = Math.round(offsetIn(zone, new Date(Number(key) * 1000)) / 60) * 60;
  return offsetSeconds(offset) === expected && (offset === 'Z') === (expected === 0) && !stamp.includes('.000000');
}

/** The years for which the application's table of time zones (pytz) has changes: 32 bits of seconds. */
export function isInTables(stamp: string, zone: string): boolean {
  return Math.abs(Number(instant(stamp, zone))) < 2 ** 31;
}

function offsetSeconds(offset: string): number {
  if (offset === 'Z') return 0;
  const [hours = '0', minutes = '0', seconds = '0'] = offset.slice(1).match(/\d\d/gu) ?? [];
  return (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * (offset.startsWith('-') ? -1 : 1);
}

function offsetIn(zone: string, wall: Date): number {
  const name = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' }).formatToParts(wall).find(({ type }) => type === 'timeZoneName')?.value ?? 'GMT';
  return name === 'GMT' ? 0 : offsetSeconds(name.slice('GMT'.length));
}
