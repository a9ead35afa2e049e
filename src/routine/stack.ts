/**
 * The stacks of errors that cross: the program's frames where the error happened, a line that names the
 * routine and the worker, and the frames of the code that called.
 */
import { SkeinError } from '../errors.ts';
import type { StackText } from '../wire/error.ts';
import { runtimeFrames } from './frames.ts';

const FRAME = /^\s+at /;
const WORKER = /^\s+at .* \(worker \S+\)$/;
/** V8's own frame of a generator's method. */
const STEP = /\.(?:next|throw|return) \(<anonymous>\)$/;
const isFrame = (line: string) => FRAME.test(line);
const isProgram = (line: string) => !runtimeFrames.isOwn(line) && !runtimeFrames.isBetween(line);
/** Frames of the runtime that may be above those of the caller. */
const OWN_FRAMES = 6;

interface FailedTask {
  readonly routine: string;
  readonly worker: string;
  /** In place of the routine's name. */
  readonly label?: string | undefined;
}

/**
 * What errors that a task fails with send for their stacks. The errors themselves stay as they are: they
 * may be frozen, or thrown again and again.
 *
 * @param task `routine`: `module#name`
 */
export function stackText(task: FailedTask): StackText {
  return (stack, error, outermost) => {
    const own = stack === undefined ? undefined : hideRuntime(stack, error);
    if (!outermost || stack === '') return own;
    const name = task.label ?? task.routine.slice(task.routine.indexOf('#') + 1);
    const line = `    at ${name.replace(/\s+/g, ' ')} (worker ${task.worker})`;
    return `${own ?? Error.prototype.toString.call(error)}\n${line}`;
  };
}

/**
 * A stack without the frames of the runtime that this process added to it.
 *
 * One that has no others, of an error that is not the runtime's, stays as it is: that is a mistake in the
 * runtime, and somebody has to find it.
 */
function hideRuntime(stack: string, error: Error): string {
  const { head, above, lines } = split(stack, error);
  const kept = lines.slice(0, entry(lines)).filter(isProgram);
  if (!(kept.some(isFrame) || error instanceof SkeinError)) {
    const top = lines.find(isFrame);
    if (top !== undefined && runtimeFrames.isOwn(top)) return stack;
  }
  return head + [...above, ...kept].join('\n');
}

/** How many lines are above the runtime's call of the program. */
function entry(lines: readonly string[]): number {
  const at = lines.findIndex((line) => runtimeFrames.isEntry(line));
  if (at === -1) return lines.length;
  return STEP.test(lines[at - 1] ?? '') ? at - 1 : at;
}

/** A stack in three: the message, what came with the error from a worker, and what this process added. */
function split(stack: string, error: Error) {
  const begin = headEnd(stack, error);
  const lines = stack.slice(begin).split('\n');
  const above = lines.splice(0, lines.findLastIndex((line) => WORKER.test(line)) + 1);
  return { head: stack.slice(0, begin), above, lines };
}

/** Where the message ends, which may have lines that look like frames. */
function headEnd(stack: string, error: Error): number {
  const { message } = error;
  const at = typeof message === 'string' ? stack.indexOf(message) : -1;
  const line = stack.indexOf('\n');
  return at === -1 || (line !== -1 && at > line) ? 0 : at + message.length;
}

/** What is above the caller's frames. Those of an error that the runtime made here say nothing. */
function aboveCaller(stack: string, error: Error): string {
  if (!(error instanceof SkeinError)) return hideRuntime(stack, error);
  const { head, above, lines } = split(stack, error);
  const first = lines.findIndex(isFrame);
  return head + [...above, ...(first === -1 ? lines : lines.slice(0, first))].join('\n');
}

/** The stacks of the runtime's errors before a caller's frames were added. */
const ownStacks = new WeakMap<Error, string>();

/**
 * An error with the frames of the code that awaits the call below its own. They are taken when the call
 * has failed (V8 follows the chain of awaits), so that calls that succeed pay nothing.
 *
 * Where one error of the runtime fails many calls, each gets a copy.
 */
export function addCallerStack(error: Error): Error {
  try {
    const known = ownStacks.get(error);
    const stack = known ?? error.stack;
    if (typeof stack !== 'string' || stack === '') return error;
    const above = known ?? aboveCaller(stack, error);
    const one = known === undefined ? error : copy(error);
    if (error instanceof SkeinError) ownStacks.set(error, above);
    Reflect.defineProperty(one, 'stack', {
      value: [above, ...callerFrames()].join('\n'),
      writable: true,
      enumerable: Object.prototype.propertyIsEnumerable.call(error, 'stack'),
      configurable: true,
    });
    return one;
  } catch {
    // A getter, a Proxy.
    return error;
  }
}

function copy(error: Error): Error {
  const one = Object.setPrototypeOf(new Error(error.message), Object.getPrototypeOf(error));
  return Object.defineProperties(one, Object.getOwnPropertyDescriptors(error));
}

function callerFrames(): string[] {
  const { stackTraceLimit } = Error;
  if (!(stackTraceLimit > 0)) return [];
  try {
    // Not by assignment, which throws where the program froze the class.
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit + OWN_FRAMES);
    const frames = capture().split('\n').filter(isFrame);
    return frames.filter(isProgram).slice(0, stackTraceLimit);
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  }
}

function capture(): string {
  const holder: { prepareStackTrace?: unknown } = Error;
  const { prepareStackTrace } = holder;
  try {
    const stack = captured();
    if (typeof stack === 'string') return stack;
  } catch {
    // The program's own prepareStackTrace threw.
  }
  try {
    holder.prepareStackTrace = undefined;
    return String(captured());
  } finally {
    holder.prepareStackTrace = prepareStackTrace;
  }
}

function captured(): unknown {
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, addCallerStack);
  return holder.stack;
}
