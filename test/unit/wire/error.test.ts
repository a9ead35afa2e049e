import { deepStrictEqual, notStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import * as skein from '../../../src/errors.ts';
import { decodeError, encodeError, registerErrorClass } from '../../../src/wire/error.ts';
import { decodeValue, encodeValue } from '../../../src/wire/value.ts';

function roundTrip(error: unknown): unknown {
  return decodeError(encodeError(error).slice());
}

function arrive<T extends Error>(error: T): T {
  const arrived = roundTrip(error);
  ok(arrived instanceof Error);
  return arrived as T;
}

function descriptor(error: Error, key: string): PropertyDescriptor | undefined {
  return Object.getOwnPropertyDescriptor(error, key);
}

describe('built-in classes arrive as themselves', () => {
  const classes = [
    Error,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
  ] as const;

  test.each(classes.map((Class) => [Class.name, Class] as const))('%s', (_name, Class) => {
    const error = new Class('what happened');
    const arrived = arrive(error);
    strictEqual(Object.getPrototypeOf(arrived), Class.prototype);
    strictEqual(arrived.message, 'what happened');
    strictEqual(arrived.name, Class.name);
    strictEqual(arrived.stack, error.stack);
    deepStrictEqual(Object.keys(arrived), []);
    deepStrictEqual(arrived, error);
  });

  test('AggregateError with its errors', () => {
    const errors = [new TypeError('a'), 'b', { c: 1 }];
    const arrived = arrive(new AggregateError(errors, 'all failed'));
    strictEqual(Object.getPrototypeOf(arrived), AggregateError.prototype);
    deepStrictEqual(arrived.errors, errors);
    strictEqual(descriptor(arrived, 'errors')?.enumerable, false);
  });

  test('DOMException with name and code', () => {
    for (const error of [
      new DOMException('stopped', 'AbortError'),
      new DOMException('too late', 'TimeoutError'),
      new DOMException(),
      AbortSignal.abort().reason as DOMException,
    ]) {
      const arrived = arrive(error);
      ok(arrived instanceof DOMException);
      strictEqual(arrived.name, error.name);
      strictEqual(arrived.code, error.code);
      strictEqual(arrived.message, error.message);
      strictEqual(arrived.stack, error.stack);
    }
  });

  test('an error without a message has none', () => {
    const arrived = arrive(new Error());
    strictEqual(arrived.message, '');
    strictEqual(Object.hasOwn(arrived, 'message'), false);
  });

  test('an error of another realm', () => {
    const error = runInNewContext('Object.assign(new TypeError("there"), { code: 7 })') as Error;
    const arrived = arrive(error);
    strictEqual(Object.getPrototypeOf(arrived), TypeError.prototype);
    deepStrictEqual({ ...arrived }, { code: 7 });
  });
});

describe('cause', () => {
  test('a chain', () => {
    const arrived = arrive(
      new Error('top', { cause: new TypeError('middle', { cause: { plain: 'data' } }) }),
    );
    const middle = arrived.cause as Error;
    strictEqual(Object.getPrototypeOf(middle), TypeError.prototype);
    deepStrictEqual(middle.cause, { plain: 'data' });
    strictEqual(descriptor(arrived, 'cause')?.enumerable, false);
  });

  test('undefined is a cause too', () => {
    ok(Object.hasOwn(arrive(new Error('x', { cause: undefined })), 'cause'));
    ok(!Object.hasOwn(arrive(new Error('x')), 'cause'));
  });

  test('a cycle is cut, with a note', () => {
    const outer = new Error('outer');
    outer.cause = new Error('inner', { cause: outer });
    const inner = arrive(outer).cause as Error;
    strictEqual(inner.message, 'inner');
    expect(inner.cause).toMatch(/not sent: an error around this one/);
    const aggregate = new AggregateError([], 'all');
    aggregate.errors.push(aggregate);
    expect(arrive(aggregate).errors[0]).toMatch(/not sent/);
  });

  test('one error in two places arrives as one', () => {
    const cause = new Error('shared');
    const arrived = arrive(
      new AggregateError([new Error('a', { cause }), new Error('b', { cause })]),
    );
    const [a, b] = arrived.errors as [Error, Error];
    strictEqual(a.cause, b.cause);
  });

  test('a chain without an end is cut, with a note', () => {
    let error = new Error('0');
    for (let i = 1; i < 5_000; i++) error = new Error(`${i}`, { cause: error });
    let arrived: unknown = roundTrip(error);
    let links = 0;
    while (arrived instanceof Error) {
      arrived = arrived.cause;
      links++;
    }
    strictEqual(links, 100);
    expect(arrived).toMatch(/not sent: errors nested too deep/);
  });
});

describe('own properties', () => {
  test('arrive, with nested values', () => {
    const details = { statusCode: 503, headers: new Map([['retry-after', 5]]), at: new Date(5) };
    const error = Object.assign(new Error('no'), { code: 'E_BUSY', details, __proto__x: 1 });
    const arrived = arrive(error);
    deepStrictEqual({ ...arrived }, { ...error });
    strictEqual(descriptor(arrived, 'code')?.enumerable, true);
  });

  test('one that cannot travel is replaced by a note', () => {
    const secret = Symbol('s');
    const shared = { n: 1 };
    const error = Object.assign(new Error('kept'), {
      before: shared,
      retry() {},
      config: { shared, deep: [{ onDone() {} }] },
      secret,
      after: shared,
      large: new Uint8Array(100_000),
    });
    const arrived = arrive(error) as unknown as Record<string, unknown>;
    strictEqual(arrived.message, 'kept');
    expect(arrived.retry).toMatch(/^\[not sent: a function cannot travel/);
    expect(arrived.config).toMatch(/^\[not sent: deep\[0\]\.onDone: a function/);
    expect(arrived.secret).toMatch(/^\[not sent: a symbol/);
    deepStrictEqual(arrived.before, { n: 1 });
    strictEqual(arrived.after, arrived.before);
    strictEqual((arrived.large as Uint8Array).length, 100_000);
  });

  test('of one item among the errors of an AggregateError, only that item', () => {
    const arrived = arrive(new AggregateError([new Error('a'), () => {}, 'c']));
    strictEqual(arrived.errors[0].message, 'a');
    expect(arrived.errors[1]).toMatch(/not sent: a function/);
    strictEqual(arrived.errors[2], 'c');
  });

  test('one that refers to the error itself', () => {
    const error = Object.assign(new Error('x'), { self: {} as unknown });
    error.self = { error };
    const arrived = arrive(error);
    strictEqual((arrived.self as { error: unknown }).error, arrived);
  });

  test('names that are dangerous elsewhere', () => {
    const error = new Error('x');
    for (const key of ['__proto__', 'constructor', 'toString']) {
      Object.defineProperty(error, key, { value: key, enumerable: true });
    }
    const arrived = arrive(error);
    strictEqual(Object.getPrototypeOf(arrived), Error.prototype);
    deepStrictEqual(Object.keys(arrived), ['__proto__', 'constructor', 'toString']);
    strictEqual(descriptor(arrived, '__proto__')?.value, '__proto__');
  });

  test('enumerable name, message, stack and cause stay enumerable', () => {
    const error = new Error('x');
    for (const key of ['name', 'message', 'stack', 'cause']) {
      Object.defineProperty(error, key, { value: key, enumerable: true });
    }
    deepStrictEqual({ ...arrive(error) }, { ...error });
  });

  test('what cannot be read', () => {
    const error = new Error('x');
    const get = (): never => {
      throw new Error('getter');
    };
    Object.defineProperty(error, 'own', { get, enumerable: true });
    Object.defineProperty(error, 'message', { get });
    const arrived = arrive(error) as Error & { own: unknown };
    expect(arrived.own).toMatch(/not sent/);
    expect(arrived.message).toMatch(/not sent/);
  });
});

describe('classes of the program', () => {
  class HttpError extends Error {
    override readonly name = 'HttpError';
    readonly statusCode: number;
    constructor(message: string, statusCode: number) {
      super(message);
      this.statusCode = statusCode;
    }
  }

  test('arrive as Error, with name and properties', () => {
    const arrived = arrive(new HttpError('busy', 503));
    strictEqual(Object.getPrototypeOf(arrived), Error.prototype);
    deepStrictEqual({ ...arrived }, { name: 'HttpError', statusCode: 503 });
    strictEqual(String(arrived), 'HttpError: busy');
  });

  test('whose name is inherited', () => {
    class OldError extends RangeError {}
    OldError.prototype.name = 'OldError';
    const arrived = arrive(new OldError('old'));
    strictEqual(Object.getPrototypeOf(arrived), RangeError.prototype);
    strictEqual(arrived.name, 'OldError');
    deepStrictEqual(Object.keys(arrived), []);
  });

  test('called like something else', () => {
    for (const name of ['constructor', '__proto__', 'TypeError', 'skein.WorkerLost', 'toString']) {
      const error = new Error('x');
      error.name = name;
      const arrived = arrive(error);
      strictEqual(Object.getPrototypeOf(arrived), Error.prototype);
      strictEqual(arrived.name, name);
    }
  });

  test('arrive as themselves once they are registered', () => {
    class QuotaError extends Error {
      declare limit: number;
    }
    const error = Object.assign(new QuotaError('full'), { limit: 5 });
    registerErrorClass('test.QuotaError', (message) => new QuotaError(message), QuotaError);
    const arrived = arrive(error);
    ok(arrived instanceof QuotaError);
    deepStrictEqual(arrived, error);
    class Special extends QuotaError {}
    ok(arrive(new Special('x')) instanceof QuotaError);
  });

  test('that cannot be revived arrive as Error', () => {
    class Fragile extends Error {}
    const revive = (): never => {
      throw new Error('no');
    };
    registerErrorClass('test.Fragile', revive, Fragile);
    const arrived = arrive(new Fragile('x'));
    strictEqual(Object.getPrototypeOf(arrived), Error.prototype);
    strictEqual(arrived.message, 'x');
  });
});

describe('errors of the runtime', () => {
  test('arrive as the same class, with code and fields', () => {
    const errors: skein.SkeinError[] = [
      new skein.WorkerLost('gone', { phase: 'running', worker: 'w1', cause: new Error('why') }),
      new skein.DispatchTimeout('late', { timeoutMs: 50 }),
      new skein.SerializationError('no', { path: 'args[0]' }),
      new skein.ValueTooLarge('large', { bytes: 2, limit: 1 }),
      new skein.NoWorkersAvailable('none'),
      new skein.ContextVarUnset('unset', { variable: 'app:tenant' }),
      new skein.ContextVarCollision('twice', { variable: 'app:tenant' }),
      new skein.TokenUsedError('used'),
      new skein.ChainSerializationError('not sent', {
        variables: ['app:tenant', 'app:locale'],
        errors: [
          new skein.SerializationError('a', { path: 'x' }),
          new skein.SerializationError('b'),
        ],
        cause: new RangeError('of the routine'),
      }),
    ];
    for (const error of errors) {
      const arrived = arrive(error);
      strictEqual(Object.getPrototypeOf(arrived), Object.getPrototypeOf(error));
      strictEqual(arrived.code, error.code);
      strictEqual(arrived.name, error.name);
      strictEqual(arrived.stack, error.stack);
      deepStrictEqual({ ...arrived }, { ...error });
      deepStrictEqual(arrived.cause, error.cause);
    }
  });

  test('every class that is exported', () => {
    for (const [name, Class] of Object.entries(skein)) {
      const error = Object.setPrototypeOf(new Error('x'), Class.prototype) as Error;
      Object.defineProperty(error, 'name', { value: name });
      ok(arrive(error) instanceof Class, name);
    }
  });
});

describe('whatever is thrown', () => {
  const values: unknown[] = ['text', undefined, null, 0, { code: 1 }, [new Error('x')], 5n];

  test.each(values.map((value) => [value]))('%o arrives as that value', (value) => {
    deepStrictEqual(roundTrip(value), value);
  });

  test('bytes of any size come in one part', () => {
    deepStrictEqual(roundTrip(new Uint8Array(100_000)), new Uint8Array(100_000));
  });

  test('a value that cannot travel arrives as an error that says so', () => {
    const arrived = roundTrip({ cb() {} });
    ok(arrived instanceof skein.SerializationError);
    expect(arrived.message).toMatch(/^a value was thrown that cannot travel: thrown\.cb: a funct/);
    strictEqual(arrived.path, 'thrown.cb');
    ok(roundTrip(Symbol('s')) instanceof skein.SerializationError);
    ok(roundTrip(() => {}) instanceof skein.SerializationError);
  });

  test('a Proxy whose traps all throw', () => {
    const trap = (): never => {
      throw hostile;
    };
    const traps = Object.getOwnPropertyNames(Reflect).map((name) => [name, trap]);
    const hostile: unknown = new Proxy(new Error('x'), Object.fromEntries(traps));
    ok(roundTrip(hostile) instanceof skein.SerializationError);
    ok(roundTrip(Object.assign(new Error('x'), { hostile })) instanceof Error);
  });

  test('fields of strange types', () => {
    const error = new Error('x');
    Object.assign(error, { name: Object.create(null), message: { a: 1 }, stack: 5 });
    const arrived = arrive(error);
    deepStrictEqual(arrived.message, { a: 1 });
    deepStrictEqual(arrived.name, Object.create(null));
  });

  test('an object that inherits from Error', () => {
    function Old(this: Error, message: string) {
      this.message = message;
    }
    Old.prototype = Object.create(Error.prototype, { name: { value: 'Old' } });
    const arrived = arrive(Reflect.construct(Old, ['es5']) as Error);
    strictEqual(String(arrived), 'Old: es5');
  });
});

describe('stacks', () => {
  test('can be left out', () => {
    const error = new Error('x', { cause: new TypeError('y') });
    const bytes = encodeError(Object.assign(error, { more: new RangeError('z') }), {
      stack: false,
    });
    ok(!Buffer.from(bytes).includes('error.test'));
    const arrived = decodeError(bytes) as Error & { more: Error };
    strictEqual(arrived.stack, 'Error: x');
    strictEqual((arrived.cause as Error).stack, 'TypeError: y');
    strictEqual(arrived.more.stack, 'RangeError: z');
  });

  test('are not enumerable, and hold nothing of the decoder', () => {
    const arrived = arrive(new Error('x'));
    strictEqual(descriptor(arrived, 'stack')?.enumerable, false);
    ok(!arrived.stack?.includes('error-kind'));
    notStrictEqual(Error.stackTraceLimit, 0);
  });

  test('can be replaced, and tell the outermost error from those inside', () => {
    const cause = new TypeError('y');
    const error = new AggregateError([new RangeError('z')], 'x', { cause });
    const stack = (text: string | undefined, { message }: Error, outermost: boolean) =>
      `${text?.includes('error.test')} ${message} ${outermost}`;
    const before = error.stack;
    const arrived = decodeError(encodeError(error, { stack })) as AggregateError;
    strictEqual(arrived.stack, 'true x true');
    strictEqual((arrived.cause as Error).stack, 'true y false');
    strictEqual(arrived.errors[0].stack, 'true z false');
    strictEqual(error.stack, before);
  });

  test('that are no text are replaced, too', () => {
    const throws = Object.defineProperty(new Error('x'), 'stack', {
      get() {
        throw new Error('no stack');
      },
    });
    for (const error of [throws, Object.assign(new Error('x'), { stack: [1] })]) {
      strictEqual(arrive(error).stack, 'Error: x');
      const seen: unknown[] = [];
      const stack = (text: string | undefined) => {
        seen.push(text);
        return 'replaced';
      };
      strictEqual((decodeError(encodeError(error, { stack })) as Error).stack, 'replaced');
      deepStrictEqual(seen, [undefined]);
    }
  });

  test('stay as they are where what replaces them fails', () => {
    const error = new Error('x');
    const stack = () => {
      throw new Error('no text');
    };
    strictEqual((decodeError(encodeError(error, { stack })) as Error).stack, error.stack);
  });
});

describe('inside a value', () => {
  test('the same coder', () => {
    const error = Object.assign(new TypeError('x', { cause: 'y' }), { code: 'E', cb() {} });
    const [arrived] = decodeValue(encodeValue([error]) as Uint8Array) as [typeof error];
    strictEqual(Object.getPrototypeOf(arrived), TypeError.prototype);
    strictEqual(arrived.stack, error.stack);
    expect(arrived.cb).toMatch(/not sent/);
  });

  test('an attachment of a property that stays behind stays behind', () => {
    const large = new Uint8Array(70_000).fill(1);
    const error = Object.assign(new Error('x'), { config: { large, cb() {} }, kept: large });
    const encoded = encodeValue([error]) as Uint8Array[];
    strictEqual(encoded.length, 2);
    const [arrived] = decodeValue(encoded[0]!, encoded.slice(1)) as [typeof error];
    expect(arrived.config).toMatch(/not sent/);
    deepStrictEqual(arrived.kept, large);
  });
});
