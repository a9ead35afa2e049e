/** Warnings of what was left out: each kind once, however often it is met. */

/** Says something of a kind. Kinds are few, and nothing of what comes from outside is in them. */
export type Warn = (kind: string, message: string) => void;

export function warnOnce(warn: (message: string) => void): Warn {
  const given = new Set<string>();
  return (kind, message) => {
    if (given.has(kind)) return;
    given.add(kind);
    warn(message);
  };
}
