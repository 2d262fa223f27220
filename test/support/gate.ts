export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** What a test holds shut until the moment has come: `respond = () => ({ status: 200, delayUntil: gate.opened })`. */
export function closedGate(): Gate {
  let open: (() => void) | undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open?.() };
}
