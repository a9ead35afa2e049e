/** What can be given as `discovery`: one that is there, or a function that makes one. */
import type { DiscoveryLike } from './discovery.ts';

/**
 * A discovery, or a function that gives one. What the function gives belongs to whoever called it, and
 * is disposed of after use where it has `Symbol.asyncDispose` or `Symbol.dispose`; a discovery that is
 * given as it is stays with its owner.
 */
export type DiscoveryGiven = DiscoveryLike | (() => DiscoveryLike | Promise<DiscoveryLike>);

export interface OwnedDiscovery extends AsyncDisposable {
  readonly discovery: DiscoveryLike;
}

/**
 * The discovery that was given. Disposing of the result disposes of the discovery if it was made here.
 *
 * @throws TypeError (as a rejection) that says what was given instead; what the function throws
 */
export async function takeDiscovery(given: DiscoveryGiven): Promise<OwnedDiscovery> {
  if (typeof given === 'function' && !isDiscovery(given)) {
    if (isClass(given)) {
      const { name } = given as { name: string };
      throw new TypeError(
        `discovery is a class: write new ${name}(...), or () => new ${name}(...)`,
      );
    }
    const discovery = await given();
    try {
      checkDiscovery(discovery, 'the function given as discovery gave');
    } catch (error) {
      await dispose(discovery);
      throw error;
    }
    return { discovery, [Symbol.asyncDispose]: () => dispose(discovery) };
  }
  checkDiscovery(given, 'discovery is');
  return { discovery: given, [Symbol.asyncDispose]: async () => {} };
}

function isDiscovery(value: unknown): value is DiscoveryLike {
  return typeof (value as DiscoveryLike | null | undefined)?.subscribe === 'function';
}

function checkDiscovery(value: unknown, which: string): asserts value is DiscoveryLike {
  const needed = 'a discovery has subscribe(filter), and a publisher with publish(event, worker)';
  if (!isDiscovery(value)) throw new TypeError(`${which} ${describe(value)}: ${needed}`);
  const { publisher } = value;
  if (publisher !== undefined && typeof publisher?.publish !== 'function') {
    throw new TypeError(`${which} one whose publisher can't publish: ${needed}, or none`);
  }
  const bindHost: unknown = publisher?.bindHost;
  if (bindHost !== undefined && typeof bindHost !== 'string') {
    throw new TypeError(`${which} one whose publisher.bindHost is ${describe(bindHost)}, not text`);
  }
}

/** A class can only be called with `new`; its text says so. */
function isClass(value: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof (value as PromiseLike<unknown>).then === 'function') {
    return 'a promise: await it, or give a function that returns it';
  }
  if (typeof value !== 'object') return `a ${typeof value}`;
  if (Array.isArray(value)) return 'an array';
  const keys = Object.keys(value).slice(0, 5);
  return `an object with ${keys.length === 0 ? 'no properties' : keys.join(', ')}`;
}

async function dispose(value: unknown): Promise<void> {
  const disposable = value as Partial<AsyncDisposable & Disposable> | null | undefined;
  if (disposable?.[Symbol.asyncDispose] !== undefined) await disposable[Symbol.asyncDispose]?.();
  else disposable?.[Symbol.dispose]?.();
}
