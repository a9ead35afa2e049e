import assert from 'node:assert/strict';
import { exec } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import { routine, SkeinError } from '../../../src/index.ts';

export class HttpError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`status ${status}`);
    this.name = 'HttpError';
    this.status = status;
  }
}

/** Throws an error of this class. */
export const builtIn = routine(async (name: string, message: string) => {
  const Class = (globalThis as unknown as Record<string, ErrorConstructor>)[name];
  throw new (Class as ErrorConstructor)(message);
});

export const huge = routine(async (length: number) => {
  throw new Error('x'.repeat(length));
});

export const dom = routine(async () => {
  throw new DOMException('too large', 'QuotaExceededError');
});

export const aggregate = routine(async () => {
  const cause = new RangeError('cause');
  throw new AggregateError([new TypeError('one'), 'two'], 'both', { cause });
});

export const chain = routine(async () => {
  const inner = new RangeError('inner', { cause: { plain: 'data' } });
  throw new TypeError('outer', { cause: new Error('middle', { cause: inner }) });
});

export const own = routine(async () => {
  throw Object.assign(new Error('own'), { code: 'E_OWN', detail: { list: [1, new Date(5)] } });
});

export const ownClass = routine(async () => {
  throw new HttpError(404);
});

export const withFunction = routine(async () => {
  throw Object.assign(new Error('has a function'), { retry: () => 1, kept: 2 });
});

export const anything = routine(async (value: unknown) => {
  throw value;
});

export const throwsFunction = routine(async () => {
  throw () => 1;
});

export const sync = routine(() => {
  throw new TypeError('sync');
});

export const rejects = routine(() => Promise.reject(new TypeError('rejects')));

export const generator = routine(async function* () {
  yield 1;
  throw new TypeError('in a generator');
});

function deepInside(): never {
  throw new TypeError('deep');
}

export const deep = routine(async () => {
  await null;
  deepInside();
});

/** Fails on a worker because its call to a worker fails. */
export const outer = routine(async () => {
  await deep();
});

export const withInner = routine(async () => {
  throw Object.assign(new Error('with inner'), { inner: [new TypeError('inner')] });
});

const given = () => new Map([['key', [new RangeError('given', { cause: new Error('why') })]]]);

export const giving = routine(async () => given());

export const yielding = routine(function* () {
  yield given();
});

/** Fails because its call fails, and has no frame of its own. */
export const passesOn = routine(() => deep());

const always = Object.freeze(new Error('constant'));

export const constant = routine(() => {
  throw always;
});

export const never = routine(() => new Promise(() => {}));

const ways: Record<string, () => unknown> = {
  'has an Error.prepareStackTrace that throws': () => {
    Error.prepareStackTrace = () => {
      throw new Error('prepareStackTrace');
    };
  },
  'has an Error.prepareStackTrace that gives frames as objects': () => {
    Error.prepareStackTrace = (_error, sites) => sites;
  },
  'sets Error.stackTraceLimit to 0': () => {
    Error.stackTraceLimit = 0;
  },
  'has no Error.stackTraceLimit': () => {
    Reflect.deleteProperty(Error, 'stackTraceLimit');
  },
};

export const prepareKinds = Object.keys(ways);

/** Throws while the worker's stacks are not as usual; they are again in its next turn. */
export const prepared = routine((kind: string) => {
  const { prepareStackTrace, stackTraceLimit } = Error;
  setImmediate(() => {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  });
  ways[kind]?.();
  throw new RangeError(kind);
});

class QuotaError extends SkeinError {
  readonly code = 'MY_QUOTA';
}

export const ownSkeinError = routine(async () => {
  throw new QuotaError('used up');
});

const unreadable: Record<string, () => unknown> = {
  'a message that throws': () =>
    Object.defineProperty(new Error(), 'message', {
      get() {
        throw new Error('no message');
      },
    }),
  'a stack that throws': () =>
    Object.defineProperty(new Error(), 'stack', {
      get() {
        throw new Error('no stack');
      },
    }),
  'a cause that throws': () =>
    Object.defineProperty(new Error(), 'cause', {
      get() {
        throw new Error('no cause');
      },
    }),
  'a symbol for a name': () => Object.assign(new Error(), { name: Symbol('name') }),
  'an object without a prototype for a message': () =>
    Object.assign(new Error(), { message: Object.create(null) }),
  'a Proxy that throws': () =>
    new Proxy(new Error(), {
      get() {
        throw new Error('trap');
      },
    }),
  'a revoked Proxy': () => {
    const { proxy, revoke } = Proxy.revocable(new Error(), {});
    revoke();
    return proxy;
  },
};

export const unreadableKinds = Object.keys(unreadable);

export const throwsUnreadable = routine(async (kind: string) => {
  throw unreadable[kind]?.();
});

class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status = 503;
  readonly #retryMs = 100;

  get retryMs(): number {
    return this.#retryMs;
  }
}

class RangeOfStatus extends RangeError {}

const foreign: Record<string, () => unknown> = {
  'a system error': () => readFileSync('/no/such/file'),
  'a system error of a promise': () => readFile('/no/such/file'),
  'an error of Node with a code': () => Buffer.alloc('much' as never),
  'a failed assertion': () => assert.deepEqual({ a: 1 }, { a: 2 }),
  'a failed command': () => promisify(exec)('echo said; exit 3'),
  'an AbortError': () => AbortSignal.abort().throwIfAborted(),
  'a DOMException with a code': () => structuredClone(Symbol('uncloned')),
  'an AggregateError': () =>
    Promise.any([Promise.reject(new StatusError('one')), Promise.reject('two')]),
  'of an own class with fields': () => {
    throw new StatusError('busy', { cause: new RangeOfStatus('inner', { cause: 1 }) });
  },
  'of an own class of range errors': () => {
    throw new RangeOfStatus('beyond');
  },
  frozen: () => {
    throw Object.freeze(Object.assign(new TypeError('cold', { cause: 'ice' }), { code: 'E_COLD' }));
  },
  'of another realm': () => {
    const code = `throw Object.assign(new TypeError('far', { cause: new RangeError('away') }), { code: 'E_FAR' })`;
    runInNewContext(code);
  },
  'with a getter of its own': () => {
    throw Object.defineProperty(new Error('computed'), 'answer', {
      get: () => 42,
      enumerable: true,
    });
  },
};

// Since Node 24.
type Suppressing = new (error: unknown, suppressed: unknown, message: string) => Error;
const { SuppressedError } = globalThis as unknown as { SuppressedError?: Suppressing };
if (SuppressedError) {
  foreign['a SuppressedError'] = () => {
    throw new SuppressedError(new TypeError('disposing'), new RangeError('before'), 'both');
  };
}

export const foreignKinds = Object.keys(foreign);

/** The error of this kind, made here. */
export async function foreignError(kind: string): Promise<Error> {
  try {
    await foreign[kind]?.();
  } catch (error) {
    return error as Error;
  }
  throw new Error(`${kind} did not throw`);
}

/** The class that it can arrive as. */
export function nearestClass(error: Error): unknown {
  return [TypeError, RangeError, AggregateError, DOMException, SuppressedError, Error].find(
    (one) => one && (error instanceof one || error.name === one.name),
  );
}

export const throwsForeign = routine(async (kind: string) => {
  throw await foreignError(kind);
});
