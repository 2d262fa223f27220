import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const LEFT = 62;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** Lines of text; on a terminal with colours and, at the bottom, one line that says what is being waited for. */
export class Screen {
  readonly #out = process.stdout;
  readonly #colours: boolean;
  readonly #live: boolean;
  #waiting: { readonly what: string; readonly since: number } | null = null;
  #timer: NodeJS.Timeout | null = null;
  #frame = 0;

  constructor() {
    // hasColors heeds NO_COLOR, FORCE_COLOR and TERM.
    this.#colours = this.#out.isTTY && this.#out.hasColors();
    this.#live = this.#out.isTTY && process.env['TERM'] !== 'dumb';
  }

  paint(style: Style, text: string): string {
    return this.#colours ? styleText(style, text) : text;
  }

  line(text = ''): void {
    this.#out.write(`${this.#live ? '\r\u001B[2K' : ''}${text}\n`);
    this.#draw();
  }

  chapter(title: string): void {
    this.line();
    this.line(this.paint('bold', title));
  }

  note(text: string): void {
    this.line(`  ${this.paint('cyan', '·')} ${text}`);
  }

  good(text: string): void {
    this.line(`  ${this.paint('green', '✓')} ${text}`);
  }

  bad(text: string): void {
    this.line(`  ${this.paint('red', '✗')} ${text}`);
  }

  /** What happened in the database beside what came of it; `verb` is empty on the further lines of one commit. */
  beside(verb: 'commit' | 'rollback' | '', what: string, outcome: string, latency: string): void {
    const left = what.length > LEFT ? `${what.slice(0, LEFT - 1)}…` : what.padEnd(LEFT);
    const tail = latency === '' ? outcome : `${outcome.padEnd(16)} ${this.paint('dim', latency)}`;
    this.line(`  ${this.paint('dim', verb.padEnd(8))} ${left} ${this.paint('dim', '→')} ${tail}`);
  }

  /** The live line; null: nothing is waited for. Elsewhere than on a terminal it is not shown. */
  waiting(what: string | null): void {
    if (!this.#live) return;
    this.#waiting = what === null ? null : { what, since: performance.now() };
    if (what !== null) this.#timer ??= setInterval(() => this.#draw(), 80).unref();
    if (what === null && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
      this.#out.write('\r\u001B[2K');
    }
  }

  #draw(): void {
    if (this.#waiting === null) return;
    const { what, since } = this.#waiting;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    // Cut, because a line that wraps cannot be taken back.
    const text = `${FRAMES[this.#frame] ?? ''} ${what} ${seconds} s`.slice(0, (this.#out.columns || 80) - 1);
    this.#out.write(`\r\u001B[2K${this.paint('dim', text)}`);
  }
}
