/** Something waits here until a test lets it go on. */
export interface Gate {
  readonly opened: Promise<void>;
  /** Again is harmless: to be called after each test as well, so that a failed one leaves nothing waiting. */
  open(): void;
}

/** A closed gate. */
export function createGate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
