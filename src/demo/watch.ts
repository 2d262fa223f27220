/** Something that changes, and those who wait for it to have changed enough. */
export class Watch {
  readonly #checks = new Set<() => void>();

  /** To be called after every change. */
  notify(): void {
    for (const check of this.#checks) check();
  }

  /**
   * Resolves with true as soon as the condition holds, with false when the time is up.
   * @throws the signal's reason when it aborts first
   */
  async until(condition: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const end = (outcome: () => void): void => {
        clearTimeout(timer);
        this.#checks.delete(check);
        signal.removeEventListener('abort', aborted);
        outcome();
      };
      const aborted = (): void => end(() => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason))));
      const check = (): void => {
        if (condition()) end(() => resolve(true));
      };
      const timer = setTimeout(() => end(() => resolve(false)), timeoutMs);
      signal.addEventListener('abort', aborted);
      this.#checks.add(check);
      check();
    });
  }
}
