const QUIET_MS = 1_000;
const AGAIN_MS = 5_000;

/** On stderr, what is waited for, once it has taken a second and every five seconds then; stdout stays for results. */
export async function withProgress<T>(what: string, work: Promise<T>): Promise<T> {
  const began = Date.now();
  const say = (): void => void process.stderr.write(`${what} … ${Math.round((Date.now() - began) / 1000)} s\n`);
  let again: NodeJS.Timeout | undefined;
  const first = setTimeout(() => {
    say();
    again = setInterval(say, AGAIN_MS);
  }, QUIET_MS);
  try {
    return await work;
  } finally {
    clearTimeout(first);
    clearInterval(again);
  }
}
