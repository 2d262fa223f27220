import { chromiumPath } from './chromium.js';

/** Before anything is started: without a browser these tests fail, they are not left out. */
export default function needChromium(): void {
  chromiumPath();
}
