/** Counts how often peers asked for more than the limits allow, and says so now and then. */
import type { Env } from '../env.ts';
import { LimitExceeded, ValueTooLarge } from '../errors.ts';
import { type LimitName, PEER_LIMITS } from './limits.ts';

/** How often each limit was exceeded; those that never were are left out. */
export type BreachCounts = Readonly<Partial<Record<LimitName, number>>>;

export interface BreachesOptions {
  readonly env: Pick<Env, 'now'>;
  /** Takes what people should know. */
  readonly warn: (message: string) => void;
}

/** Each limit is warned of once in so long. */
const WARNING_MS = 60_000;

interface Entry {
  count: number;
  /** Those that no warning has told of. */
  untold: number;
  warnedAt: number;
}

/**
 * The error that a breach of a limit ends in.
 *
 * @param what what the peer does, e.g. `an envelope of 9 bytes came`
 */
export function exceeded(
  limit: LimitName,
  value: number,
  max: number,
  what: string,
): LimitExceeded {
  return new LimitExceeded(`${what}, and the limit is ${max} (${limit})`, { limit, value, max });
}

export class Breaches {
  readonly #options: BreachesOptions;
  readonly #entries = new Map<LimitName, Entry>();

  constructor(options: BreachesOptions) {
    this.#options = options;
  }

  /** Takes any error that a call or link ended with, and counts those that are breaches. */
  note(error: unknown, remote: string): void {
    if (error instanceof LimitExceeded) {
      // Its words may be somebody else's.
      if (Object.hasOwn(PEER_LIMITS, error.limit)) {
        this.count(error.limit as LimitName, remote, error.message);
      }
    }
    if (error instanceof ValueTooLarge) this.count('maxValueBytes', remote, error.message);
  }

  /** @param remote who it was */
  count(limit: LimitName, remote: string, message: string): void {
    const entry = this.#entries.get(limit) ?? {
      count: 0,
      untold: 0,
      warnedAt: Number.NEGATIVE_INFINITY,
    };
    this.#entries.set(limit, entry);
    entry.count += 1;
    entry.untold += 1;
    const now = this.#options.env.now();
    if (now < entry.warnedAt + WARNING_MS) return;
    const before = entry.untold > 1 ? ` (the last of ${entry.untold} times)` : '';
    entry.warnedAt = now;
    entry.untold = 0;
    this.#options.warn(`a peer, ${remote}, has exceeded a limit${before}: ${message}`);
  }

  get counts(): BreachCounts {
    return Object.fromEntries([...this.#entries].map(([limit, { count }]) => [limit, count]));
  }
}
