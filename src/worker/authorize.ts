/** Which callers a worker lets in, and which tasks of theirs it runs: by the certificates that they show. */
import { outside } from '../context/scope.ts';
import type { Env } from '../env.ts';
import { AuthorizationError } from '../errors.ts';
import type { CurrentTask, TaskScope } from '../routine/task.ts';
import { checkIdentity } from '../security/material.ts';
import type { PeerIdentity } from '../security/names.ts';
import { wordsOf } from '../security/words.ts';
import { plain } from '../wire/plain.ts';

/** A task that a caller has sent, before anything of it was read or loaded but this. */
export type AuthorizedTask = Omit<CurrentTask, 'signal'>;

/**
 * Returns true for a caller that may link with the worker and ask it things; and, with a task, for one whose task
 * may run. One that throws, rejects, or takes longer than 10 s, lets nobody in.
 */
export type AuthorizeHook = (
  peer: PeerIdentity,
  task?: AuthorizedTask,
) => boolean | Promise<boolean>;

/** Names in certificates, or a function. */
export type Authorize = readonly string[] | AuthorizeHook;

/** A hook that has not answered by then lets nobody in. */
const PATIENCE_MS = 10_000;
/** Who was not let in is told of so often. */
const WARNING_MS = 60_000;

/** @throws TypeError when it is no list of names */
export function checkNamesOf(list: readonly unknown[]): void {
  if (list.length === 0) {
    throw new TypeError('authorize is an empty array, and would let nobody in: name those who may');
  }
  for (const name of list) {
    try {
      checkIdentity(name);
    } catch {
      throw new TypeError(
        `authorize must be an array of names in certificates, as web.my-app or spiffe://my-app/web, and ${String(name)} is none`,
      );
    }
  }
}

/** Whether one of a certificate's names is in a list. Those of DNS have no upper and lower case. */
export function isListed(names: readonly string[], list: readonly string[]): boolean {
  const known = new Set(list.map(folded));
  return names.some((name) => known.has(folded(name)));
}

function folded(name: string): string {
  return /[:@]/.test(name) ? name : name.toLowerCase();
}

export interface AuthorizerOptions {
  readonly env: Env;
  readonly warn: (message: string) => void;
}

export class Authorizer {
  readonly #list: readonly string[] | undefined;
  readonly #hook: AuthorizeHook | undefined;
  readonly #options: AuthorizerOptions;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(given: Authorize, options: AuthorizerOptions) {
    if (typeof given === 'function') this.#hook = given;
    else this.#list = given;
    this.#options = options;
  }

  /** Whether each task is asked about, and not only each caller. */
  get asksForTasks(): boolean {
    return this.#hook !== undefined;
  }

  /** Whether a caller may link, and ask. Never throws or rejects. */
  admits(peer: PeerIdentity | undefined): boolean | Promise<boolean> {
    if (peer === undefined) return false;
    const answer = this.#list ? isListed(peer.names, this.#list) : this.#ask(peer, undefined);
    const decide = (isIn: boolean) => {
      if (!isIn) this.#warn(`a caller was not let in (authorize): ${who(peer)}`);
      return isIn;
    };
    return typeof answer === 'boolean' ? decide(answer) : answer.then(decide);
  }

  /** @throws AuthorizationError, or rejects with it, when the task may not run */
  permits(peer: PeerIdentity | undefined, task: TaskScope): Promise<void> | undefined {
    const decide = (isPermitted: boolean) => {
      if (isPermitted) return;
      const name = peer === undefined ? 'a caller without a certificate' : who(peer);
      this.#warn(`a task of ${plain(task.routine)} was refused (authorize), of ${name}`);
      throw new AuthorizationError(`the worker does not let ${name} run ${task.routine}`);
    };
    const answer = peer !== undefined && this.#ask(peer, viewOf(task));
    if (typeof answer !== 'boolean') return answer.then(decide);
    decide(answer);
    return undefined;
  }

  #ask(peer: PeerIdentity, task: AuthorizedTask | undefined): boolean | Promise<boolean> {
    const failed = (error: unknown) => {
      const what =
        task === undefined
          ? 'a caller was not let in'
          : `a task of ${plain(task.routine)} was refused`;
      this.#warn(`the authorize hook failed, so that ${what}: ${plain(wordsOf(error))}`);
      return false;
    };
    try {
      // Nobody's chain is in place yet.
      const answer: unknown = outside(() => this.#hook?.(peer, task));
      if (typeof (answer as PromiseLike<unknown> | undefined)?.then !== 'function') {
        return answer === true;
      }
      return this.#inTime(answer as PromiseLike<unknown>).then((is) => is === true, failed);
    } catch (error) {
      return failed(error);
    }
  }

  async #inTime(answer: PromiseLike<unknown>): Promise<unknown> {
    const { env } = this.#options;
    return await new Promise((resolve, reject) => {
      const timer = env.timer(PATIENCE_MS, () =>
        reject(new Error(`it has not answered within ${PATIENCE_MS} ms`)),
      );
      answer.then(resolve, reject).then(() => timer.cancel());
    });
  }

  #warn(message: string): void {
    const { env, warn } = this.#options;
    if (env.now() < this.#warnedAt + WARNING_MS) return;
    this.#warnedAt = env.now();
    warn(message);
  }
}

function who({ names, subject }: PeerIdentity): string {
  return plain(names.join(', ') || subject || 'a caller whose certificate has no name');
}

function viewOf(task: TaskScope): AuthorizedTask {
  const { id, routine, worker, attempt, caller, deadline, tag } = task;
  return Object.freeze({ id, routine, worker, attempt, caller, deadline, tag });
}
