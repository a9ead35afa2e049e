/** A hook that does what the tag of a task says: `word:argument`. */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ContextVar,
  currentTask,
  type OfferedTask,
  routine,
  type Token,
} from '../../../src/index.ts';

export const tenant = new ContextVar<string>('tenant');
export const carried = new ContextVar<Token<string>>('carried');
/** What a hook has kept of a task that it refused. */
let kept: Token<string> | undefined;

const rules: { readonly [word: string]: (argument: string, task: OfferedTask) => unknown } = {
  /** Only this worker takes it. */
  only: (uid, { worker }) => worker !== uid,
  /** The same, and it takes its time to say so. */
  onlyLater: async (uid, { worker }) => {
    await delay(5);
    return worker !== uid;
  },
  /** The others fail to say so. */
  onlyElseThrow: (uid, { worker }) => {
    if (worker !== uid) throw new RangeError(`not on ${worker}`);
  },
  onlyElseReject: async (uid, { worker }) => {
    await delay(1);
    if (worker !== uid) throw new RangeError(`not on ${worker}`);
  },
  /** Nobody takes it until this file is there. */
  until: (file) => !existsSync(file),
  /** Writes down what it sees. */
  note: (file, task) => {
    const { id, signal } = currentTask() ?? {};
    const line = { ...task, current: id, aborted: signal?.aborted, frozen: Object.isFrozen(task) };
    appendFileSync(file, `${JSON.stringify(line)}\n`);
    return false;
  },
  /** Of this tenant, nobody takes any; it says so when it has changed what it can. */
  noTenant: async (name) => {
    const refuses = tenant.get('') === name;
    tenant.set('the hook was here');
    await delay(1);
    tenant.set('the hook was here again');
    return refuses;
  },
  /** The others keep the token that the caller carries, and try to use it. */
  onlyElseKeep: (uid, { worker }) => {
    if (worker === uid) return false;
    kept = carried.get();
    try {
      tenant.reset(kept);
    } catch {
      return true;
    }
    return false;
  },
  never: () => new Promise(() => {}),
  /** What a caller waits for is taken alone where that is. */
  nested: (_none, { caller }) => caller !== undefined,
};

export const byTag = routine((task: OfferedTask) => {
  const [word = '', argument = ''] = (task.tag ?? '').split(/:(.*)/s);
  return (rules[word]?.(argument, task) ?? false) as boolean | Promise<boolean>;
});

/** What the body sees, and changes. */
export const rename = routine(async (name: string) => {
  const before = tenant.get('none');
  tenant.set(name);
  return { before, worker: currentTask()?.worker };
});

export const resetKept = routine(async () => {
  try {
    tenant.reset(kept as Token<string>);
    return 'reset';
  } catch (error) {
    return (error as Error).name;
  }
});

export const resetGiven = routine(async (token: Token<string>) => {
  tenant.reset(token);
  return tenant.get('none');
});

export const place = routine(async () => currentTask()?.worker);

export const places = routine(async function* (n: number) {
  for (let i = 0; i < n; i += 1) yield currentTask()?.worker;
});

/** On which worker it runs itself, and where the calls that it makes do. */
export const family = routine(async (calls: number) => {
  const children = await Promise.all(Array.from({ length: calls }, () => place()));
  return { own: currentTask()?.worker, children };
});

export const refuses = routine(async () => true, { name: 'refuses' });
export const numbers = routine(async function* () {
  yield 1;
});
