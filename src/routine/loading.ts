/** Reading values that name routines and classes of modules that are not loaded here. */
import { SerializationError } from '../errors.ts';
import { UnknownName } from '../wire/names.ts';
import { describeFailure, loadModule } from './modules.ts';

/** Modules that one value may have loaded. After each the value is read from its beginning. */
const MAX_MODULES = 100;

/**
 * Gives what `read` gives: at once, or after the modules were loaded that it names.
 *
 * @throws SerializationError, also by the promise, when `read` throws it, or names something that is
 * not there
 */
export function loading<T>(read: () => T): T | Promise<T> {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UnknownName)) throw error;
    return afterLoading(read, error);
  }
}

async function afterLoading<T>(read: () => T, first: UnknownName): Promise<T> {
  const tried = new Set<string>();
  let missing = first;
  for (;;) {
    await load(missing, tried);
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UnknownName)) throw error;
      missing = error;
    }
  }
}

async function load({ wanted }: UnknownName, tried: Set<string>): Promise<void> {
  const { kind, module, name } = wanted;
  const what = `it has the ${kind} '${name}' of ${module}`;
  if (tried.has(module)) {
    const hint = `a ${kind} must be made when its module loads, not later or inside a function`;
    throw unreadable(`${what}, which that module does not make here: ${hint}`);
  }
  if (tried.size >= MAX_MODULES) throw unreadable(`it names more than ${MAX_MODULES} modules`);
  tried.add(module);
  try {
    await loadModule(module);
  } catch (cause) {
    throw unreadable(`${what}, and that module does not load: ${describeFailure(cause)}`, cause);
  }
}

function unreadable(why: string, cause?: unknown): SerializationError {
  return new SerializationError(`a value can't be read: ${why}`, { cause });
}
