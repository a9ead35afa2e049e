/** Asks a worker who it is. */
import type { WorkerMetadata } from '../discovery/discovery.ts';
import { parseMetadata } from '../discovery/metadata.ts';
import type { Env } from '../env.ts';
import { WorkerUnreachable } from '../errors.ts';
import { connectAny } from './alternatives.ts';
import { type Limits, Link } from './link.ts';
import type { Dialer } from './transport.ts';

export interface ProbeOptions {
  readonly env: Env;
  /** `helloTimeoutMs` says how long the answer may take. */
  readonly limits: Limits;
}

/** Where a worker is. */
export type WorkerPlace = Pick<WorkerMetadata, 'address' | 'alternatives'>;

/**
 * Opens a link to whichever worker is at a place, takes its Hello for what it says of itself, and leaves.
 *
 * @throws WorkerUnreachable (as a rejection) that says why there is no answer, or why it is none
 */
export function probe(
  dialers: readonly Dialer[],
  { address, alternatives = [] }: WorkerPlace,
  { env, limits }: ProbeOptions,
): Promise<WorkerMetadata> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause: unknown) => {
      const message = why.includes(address)
        ? why
        : `no worker can be reached at ${address}: ${why}`;
      reject(new WorkerUnreachable(message, { address, cause }));
    };
    const link: Link = new Link(
      connectAny(dialers, [address, ...alternatives], { env }),
      { env, limits, uid: env.uid() },
      {
        up: ({ uid, max_value_bytes }, about) => {
          const maxValueBytes = Math.min(max_value_bytes, Number.MAX_SAFE_INTEGER) || undefined;
          const channel = { ...about?.channel, maxValueBytes };
          // What it says of its beat is for those who connect where it was asked.
          const isThere = alternatives.length === 0 || link.remote === address;
          const beat = isThere ? about?.beat : undefined;
          try {
            resolve(parseMetadata({ ...about, uid, address, beat, channel }));
          } catch (cause) {
            fail(`what it says of itself is wrong: ${(cause as Error).message}`, cause);
          }
          link.close();
        },
        frame: () => {},
        closed: ({ message, cause }) => fail(message, cause),
      },
    );
  });
}
