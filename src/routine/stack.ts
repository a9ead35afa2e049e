/** Stacks that show the frames of the program, and not those of the runtime between them. */
import { joinStacks } from '../wire/error.ts';

const root = new URL('..', import.meta.url).href;
const folder = root.startsWith('file://') ? decodeURI(root.slice('file://'.length)) : root;

function isOwn(frame: string): boolean {
  if (!/^\s+at /.test(frame)) return false;
  return (
    frame.includes(root) ||
    frame.includes(folder) ||
    frame.includes('(node:internal') ||
    frame.includes('(node:async_hooks') ||
    /[\\/]node_modules[\\/]xstate[\\/]/.test(frame)
  );
}

/** How deep causes are followed. */
const MAX_CAUSES = 20;

/**
 * Takes the runtime's frames out of the stack of an error that a task threw, and out of its causes'.
 * Never throws, whatever was thrown: what can't be read or written stays as it is.
 */
export function hideRuntime(error: unknown): void {
  try {
    let current = error;
    for (let depth = 0; depth < MAX_CAUSES && current instanceof Error; depth += 1) {
      hideIn(current);
      current = current.cause;
    }
  } catch {
    // A getter, a Proxy, or the program's own Error.prepareStackTrace threw.
  }
}

function hideIn(error: Error): void {
  const { stack } = error;
  if (typeof stack !== 'string') return;
  const lines = stack.split('\n').filter((line) => !isOwn(line));
  Reflect.defineProperty(error, 'stack', {
    value: lines.join('\n'),
    writable: true,
    enumerable: Object.prototype.propertyIsEnumerable.call(error, 'stack'),
    configurable: true,
  });
}

/**
 * Puts the frames of the code that awaits the call of `name` below those of the worker. They are taken
 * when the call has failed (V8 follows the chain of awaits), so that calls that succeed pay nothing.
 */
export function addCallerStack(error: Error, name: string): void {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, addCallerStack);
  const frames = String(holder.stack)
    .split('\n')
    .slice(1)
    .filter((line) => !isOwn(line));
  joinStacks(error, frames.join('\n'), `${name} (called from here)`);
}
