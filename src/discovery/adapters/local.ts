/** Workers of one user on one machine, by files in a folder. */
import { join } from 'node:path';
import { type Env, systemEnv } from '../../env.ts';
import type {
  DiscoveryEvent,
  DiscoveryLike,
  DiscoveryPublisher,
  WorkerFilter,
} from '../discovery.ts';
import { Roster } from '../roster.ts';
import { FolderPublisher } from './folder-publisher.ts';
import { FolderWatch } from './folder-watch.ts';
import { ownFolder, usersFolder } from './own-folder.ts';
import { warnings } from './warn.ts';

export interface LocalDiscoveryOptions {
  /**
   * Where the folders of namespaces are. It and they are made unless they are there, and must belong to
   * the user, with mode 0700. Default: `$XDG_RUNTIME_DIR/skein` if that is the user's own, or else
   * `skein-UID` in the system's folder for temporary files.
   */
  readonly folder?: string;
  /**
   * Milliseconds between two looks at the processes of the workers, and at the folder in case that the
   * system did not tell of a change. Default: 500.
   */
  readonly pollInterval?: number;
  /** For tests. Default: the system's. */
  readonly env?: Env;
}

const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Finds the workers of a namespace that run on this machine under the same user, and no others. A worker
 * whose process has ended is dropped, however it ended.
 *
 * @example
 * ```ts
 * const discovery = new LocalDiscovery('my-app');
 * ```
 */
export class LocalDiscovery implements DiscoveryLike, AsyncDisposable {
  readonly namespace: string;
  readonly publisher: DiscoveryPublisher;
  readonly #publisher: FolderPublisher;
  readonly #roster: Roster;
  #watch: FolderWatch | undefined;
  #stopped: Promise<void> | undefined;

  /** @throws TypeError when the namespace can't be the name of a folder, or an option is wrong */
  constructor(namespace: string, options: LocalDiscoveryOptions = {}) {
    if (typeof namespace !== 'string' || !NAMESPACE.test(namespace)) {
      throw new TypeError(
        'A namespace has 1 to 64 letters, digits, dots, _ and -, and begins with a letter or digit; ' +
          `${JSON.stringify(namespace)} is none.`,
      );
    }
    const { env = systemEnv, folder, pollInterval: pollMs = 500 } = options;
    if (!(Number.isFinite(pollMs) && pollMs >= 10)) {
      throw new TypeError('pollInterval must be a number of milliseconds, 10 or more');
    }
    this.namespace = namespace;
    const parent = folder ?? usersFolder();
    const path = join(parent, namespace);
    const prepare = async () => {
      await ownFolder(parent);
      return await ownFolder(path);
    };
    const warn = warnings();
    this.#publisher = new FolderPublisher({ env, path, prepare, warn });
    this.publisher = this.#publisher;
    this.#roster = new Roster({
      begin: () => {
        const roster = this.#roster;
        this.#watch = new FolderWatch({ env, path, prepare, pollMs, roster, warn });
        this.#watch.start();
      },
      end: () => {
        this.#stopped = this.#watch?.stop();
        this.#roster.forget();
      },
    });
  }

  /**
   * See `DiscoveryLike`. An iteration fails with `DiscoveryError` when the folder belongs to another user,
   * or others may use it.
   */
  subscribe(filter?: WorkerFilter): AsyncIterable<DiscoveryEvent> {
    return this.#roster.subscribe(filter);
  }

  /** Ends all subscriptions, and drops the workers that were announced here. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#roster.close();
    await Promise.all([this.#stopped, this.#publisher.close()]);
  }
}
