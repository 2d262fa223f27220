import { existsSync } from 'node:fs';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];

/** @throws saying what is missing */
export function chromiumPath(): string {
  const given = process.env['CHROMIUM'];
  const found = (given === undefined ? PLACES : [given]).find((path) => existsSync(path));
  if (found !== undefined) return found;
  const looked = given === undefined ? `at ${PLACES.join(', ')}` : `at CHROMIUM=${given}`;
  throw new Error(`The browser tests need Chromium, and there is none ${looked}. Install it (Debian: apt-get install chromium), or set CHROMIUM to its path.`);
}
