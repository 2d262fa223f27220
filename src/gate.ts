/** Closed until it is opened, once; any number may wait. */
export interface Gate {
  readonly opened: Promise<void>;
  readonly isOpen: boolean;
  open(): void;
}

export function gate(): Gate {
  let resolve = (): void => undefined;
  const opened = new Promise<void>((done) => {
    resolve = done;
  });
  const self = {
    opened,
    isOpen: false,
    open: () => {
      self.isOpen = true;
      resolve();
    },
  };
  return self;
}
