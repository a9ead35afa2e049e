/** Reading values that name routines and classes of modules that are not loaded here. */
import { DispatchTimeout } from '../errors.ts';
import { unreadable } from '../wire/class-codec.ts';
import { UnknownName } from '../wire/names.ts';
import type { Abortable } from './dispatcher.ts';
import { explainFailure, loadModule } from './modules.ts';
import type { ModulePolicy } from './whereabouts.ts';

/** Modules that one value may have loaded. After each the value is read from its beginning. */
const MAX_MODULES = 100;

/**
 * Gives what `read` gives: at once, or after the modules were loaded that it names.
 *
 * @param policy which may be. Default: as for the process
 * @throws SerializationError, also by the promise, when `read` throws it, or names something that is
 * not there
 */
export function loading<T>(read: () => T, policy?: ModulePolicy): T | Promise<T> {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UnknownName)) throw error;
    return afterLoading(read, error, policy);
  }
}

/** Milliseconds that a caller waits at most for the modules that a value needs. */
const LOADING_MS = 30_000;

/** How long a call may still take. */
export interface Patience {
  readonly signal: Abortable | undefined;
  /** What its caller gave it, in milliseconds. */
  readonly timeoutMs: number | undefined;
  /** When it began, by `performance.now()`. */
  readonly began: number;
}

/**
 * What `loading` gives, unless its call is over before: a module that waits for that very call at its top
 * level never loads.
 *
 * @throws DispatchTimeout, or the reason of the signal, by the promise
 */
export function patiently<T>(value: Promise<T>, patience: Patience): Promise<T> {
  const { signal, timeoutMs = Number.POSITIVE_INFINITY, began } = patience;
  const leftMs = began + timeoutMs - performance.now();
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal?.reason);
    const timer = setTimeout(
      () => reject(leftMs < LOADING_MS ? tooLate(timeoutMs) : unreadable(NEVER_LOADS)),
      Math.max(0, Math.min(leftMs, LOADING_MS)),
    );
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    value.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
  });
}

/** What `loading` gives, unless it takes too long or the task is told to stop. */
export function loadingFor<T>(
  task: Abortable,
  read: () => T,
  policy?: ModulePolicy,
): T | Promise<T> {
  const given = loading(read, policy);
  if (!(given instanceof Promise)) return given;
  return patiently(given, { signal: task, timeoutMs: undefined, began: performance.now() });
}

const NEVER_LOADS =
  `a module that it names did not load within ${LOADING_MS / 1_000} seconds. If that module waits for ` +
  'this call at its top level, make its routines and classes above';

function tooLate(timeoutMs: number): DispatchTimeout {
  const message = `the call did not end within ${timeoutMs} ms: its value waits for a module to load`;
  return new DispatchTimeout(message, { timeoutMs });
}

async function afterLoading<T>(
  read: () => T,
  first: UnknownName,
  policy: ModulePolicy | undefined,
): Promise<T> {
  const tried = new Set<string>();
  let missing = first;
  for (;;) {
    await load(missing, tried, policy);
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UnknownName)) throw error;
      missing = error;
    }
  }
}

async function load(
  { wanted }: UnknownName,
  tried: Set<string>,
  policy: ModulePolicy | undefined,
): Promise<void> {
  const { kind, module, name } = wanted;
  const what = `it has the ${kind} '${name}' of ${module}`;
  if (tried.has(module)) {
    const hint = `a ${kind} must be made when its module loads, not later or inside a function`;
    throw unreadable(`${what}, which that module does not make here: ${hint}`);
  }
  if (tried.size >= MAX_MODULES) throw unreadable(`it names more than ${MAX_MODULES} modules`);
  tried.add(module);
  try {
    await loadModule(module, policy);
  } catch (cause) {
    const { why, options } = explainFailure(cause, policy);
    throw unreadable(`${what}, and that module does not load: ${why}`, options.cause);
  }
}
