const TIMESTAMP = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?$/u;

/**
 * PostgreSQL's text of a timestamptz (DateStyle ISO, in the zone that the session is set to) as the
 * application writes it: ISO 8601, six digits of fraction or none, `Z` for a zero offset. A timestamp
 * without a time zone is taken for UTC.
 *
 * Text that is no such timestamp ('infinity', years BC) is returned as it is.
 */
export function isoTimestamp(text: string): string {
  // UTC, the years 0001 to 9999: put together without the regular expression (0.1 µs instead of 0.5).
  if (text.endsWith('+00') && text[4] === '-' && text[10] === ' ') {
    const wall = `${text.slice(0, 10)}T${text.slice(11, 19)}`;
    if (text.length === 22) return `${wall}Z`;
    if (text[19] === '.' && text.length <= 29 && !text.endsWith('0+00')) return `${wall}${text.slice(19, -3).padEnd(7, '0')}Z`;
  }
  const match = TIMESTAMP.exec(text);
  if (match === null) return text;
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '', fraction, sign = '+', hours = '00', minutes = '00', seconds = '00'] = match;
  if (seconds !== '00') return localMeanTime(match);
  const micros = fraction === undefined || /^0+$/u.test(fraction) ? '' : `.${fraction.padEnd(6, '0')}`;
  const offset = hours === '00' && minutes === '00' ? 'Z' : `${sign}${hours}:${minutes}`;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}${micros}${offset}`;
}

/**
 * Before standard time zones had offsets with seconds ('-04:56:02'). The application's library rounds
 * them to the minute and moves the wall clock with them, so that the instant stays the same.
 */
function localMeanTime(match: RegExpExecArray): string {
  const [, year, month, day, hour, minute, second, fraction, sign, hours, minutes, seconds] = match;
  const exact = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * (sign === '-' ? -1 : 1);
  const rounded = Math.floor((exact + 30) / 60) * 60;
  const wall = new Date(0);
  wall.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  wall.setUTCHours(Number(hour), Number(minute), Number(second) + rounded - exact);
  const two = (value: number): string => String(value).padStart(2, '0');
  const size = Math.abs(rounded);
  const offset = `${rounded < 0 ? '-' : '+'}${two(Math.floor(size / 3600))}:${two((size % 3600) / 60)}`;
  const date = `${String(wall.getUTCFullYear()).padStart(4, '0')}-${two(wall.getUTCMonth() + 1)}-${two(wall.getUTCDate())}`;
  const time = `${two(wall.getUTCHours())}:${two(wall.getUTCMinutes())}:${two(wall.getUTCSeconds())}`;
  return isoTimestamp(`${date} ${time}${fraction === undefined ? '' : `.${fraction}`}${offset}`);
}

/** Aborts are not errors: the promise resolves early. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}
