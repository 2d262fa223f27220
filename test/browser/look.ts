import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import { chromiumPath } from './chromium.js';

const axeSource = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 375, height: 812 };

/** Where pictures of the page go, for people to look at; unset: none are taken. */
const SHOTS = process.env['SCREENSHOTS'];

let browser: Promise<Browser> | null = null;

async function started(): Promise<Browser> {
  // Without the sandbox, because tests may run as root; the only page that it opens is ours.
  browser ??= chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  return browser;
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = null;
}

export interface Look {
  readonly page: Page;
  /** what the console complained of */
  readonly complaints: readonly string[];
  /** where the page asked for anything */
  readonly origins: ReadonlySet<string>;
}

/** The status page in a tab of its own. */
export async function look(url: string, options: BrowserContextOptions = {}): Promise<Look> {
  const context = await (await started()).newContext({ viewport: DESKTOP, locale: 'en-GB', ...options });
  onTestFinished(async () => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  const origins = new Set<string>();
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => origins.add(new URL(request.url()).origin));
  await page.goto(url);
  return { page, complaints, origins };
}

export async function shot(page: Page, name: string): Promise<void> {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.evaluate('scrollTo(0, 0)');
  await page.screenshot({ path: join(SHOTS, `${name}.png`), animations: 'disabled' });
  await page.screenshot({ path: join(SHOTS, `${name}-whole.png`), fullPage: true, animations: 'disabled' });
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly target: unknown; readonly failureSummary?: string }[];
}

/** Nothing that axe-core finds, best practices included. */
export async function expectAccessible(page: Page): Promise<void> {
  // By the debugger, which the page's own policy for scripts does not concern.
  await page.evaluate(readFileSync(axeSource, 'utf8'));
  const violations = await page.evaluate<Violation[]>('axe.run().then(({ violations }) => violations)');
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${JSON.stringify(target)} ${failureSummary ?? ''}`).join('; ')}`)).toEqual([]);
}

/** Nothing is wider than the screen. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0);
}
