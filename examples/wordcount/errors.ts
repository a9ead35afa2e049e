/** Ends the program with a message, and no stack: nothing in the program is wrong. */
export class ExitError extends Error {
  /** 1: nothing to count. 2: a wrong argument. 130: Ctrl-C. */
  readonly exitCode: 1 | 2 | 130;

  constructor(message: string, exitCode: 1 | 2 | 130) {
    super(message);
    this.exitCode = exitCode;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EISDIR: 'is a folder',
  ENOENT: 'is gone',
  ENOTDIR: 'is gone',
  EPERM: 'permission denied',
};

/** In a few words, why a file could not be read. */
export function describe(error: unknown): string {
  const { code } = error as { code?: unknown };
  const reason = typeof code === 'string' ? REASONS[code] : undefined;
  return reason ?? (error instanceof Error ? error.message : String(error));
}
