import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { SerializationError, ValueTooLarge, WorkerLost } from '../../../src/index.ts';
import type { Group } from '../row.ts';

const builtIns = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
] as const;

class PaymentError extends TypeError {
  readonly code = 'E_PAYMENT';
  readonly detail = { at: new Date(5) };

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PaymentError';
  }
}

function madeHere(): Error {
  return new Error('made here');
}

export const errors: Group = {
  title: 'Errors',
  file: 'errors.ts',
  rows: [
    {
      type: 'the built-in classes',
      wire: 'tag 60169, see [below](#errors-on-the-wire)',
      examples: {
        ...Object.fromEntries(
          builtIns.map((Class) => [Class.name, () => new Class(`a ${Class.name}`)]),
        ),
        'without a message': () => new Error(),
        'with an empty message': () => new Error(''),
        'with lone surrogates': () => new Error('\uD800'),
        'with a name of its own': () => Object.assign(new Error('x'), { name: 'Own' }),
      },
    },
    {
      type: 'their `cause`',
      wire: 'in the fields',
      examples: {
        'an error, and its own cause': () =>
          new TypeError('outer', {
            cause: new Error('middle', { cause: new RangeError('inner') }),
          }),
        data: () => new Error('x', { cause: { list: [1, new Map()] } }),
        'undefined, which is not none': () => new Error('x', { cause: undefined }),
      },
    },
    {
      type: 'properties of their own',
      wire: 'in the properties',
      examples: {
        'code and data': () => Object.assign(new Error('x'), { code: 'E_OWN', list: [1, 2n] }),
        'an own message': () => Object.assign(new Error(), { message: 'set later' }),
        'a key __proto__': () =>
          Object.defineProperty(new Error('x'), '__proto__', { value: { a: 1 }, enumerable: true }),
      },
    },
    {
      type: '`AggregateError`',
      arrives: 'equal, with its `errors`',
      wire: 'in the fields',
      examples: {
        'with errors and others': () =>
          new AggregateError([new TypeError('one'), 'two', { three: 3 }], 'all'),
        empty: () => new AggregateError([]),
      },
    },
    {
      type: '`SuppressedError`',
      arrives: 'equal, where both sides have it (Node 24)',
      wire: 'in the fields',
      needs: 'SuppressedError',
      examples: {
        'with both': () => {
          const { SuppressedError } = globalThis as unknown as {
            SuppressedError: new (error: unknown, suppressed: unknown, message: string) => Error;
          };
          return new SuppressedError(new Error('new'), new TypeError('old'), 'both');
        },
      },
    },
    {
      type: '`DOMException`',
      arrives: 'equal, with its name and code',
      wire: 'the same',
      examples: {
        named: () => new DOMException('too large', 'QuotaExceededError'),
        unnamed: () => new DOMException('x'),
      },
    },
    {
      type: "the runtime's own",
      arrives: 'equal, with code and details',
      wire: 'the same; the class is `skein.<Name>`',
      examples: {
        SerializationError: () => new SerializationError('x', { path: 'args[0]' }),
        ValueTooLarge: () => new ValueTooLarge('x', { bytes: 2, limit: 1 }),
        WorkerLost: () => new WorkerLost('x', { phase: 'running', worker: 'x' }),
      },
    },
    {
      type: 'classes that are not registered',
      arrives:
        'the nearest class that is known, with its name, message, `code`, own properties and `cause`',
      wire: 'the same',
      examples: {
        'a class of a program': () => new PaymentError('refused', { cause: new Error('bank') }),
      },
      check(arrived) {
        ok(arrived instanceof Error);
        strictEqual(Object.getPrototypeOf(arrived), TypeError.prototype);
        const { name, message, cause, ...own } = arrived as PaymentError;
        deepStrictEqual([name, message], ['PaymentError', 'refused']);
        deepStrictEqual(own, { code: 'E_PAYMENT', detail: { at: new Date(5) } });
        ok(cause instanceof Error);
        strictEqual(cause.message, 'bank');
      },
    },
    {
      type: 'parts of an error that are refused',
      arrives: 'a note in words, `[not sent: ...]`, since an error must arrive',
      wire: 'text',
      examples: {
        'a function': () => Object.assign(new Error('x'), { retry: () => 1, kept: 2 }),
        'a cause': () => Object.assign(new Error('x', { cause: Symbol('s') }), { kept: 2 }),
        'a property that throws': () =>
          Object.defineProperty(Object.assign(new Error('x'), { kept: 2 }), 'broken', {
            enumerable: true,
            get() {
              throw new Error('trap');
            },
          }),
      },
      check(arrived) {
        ok(arrived instanceof Error);
        const { kept, ...rest } = { cause: arrived.cause, ...arrived } as Record<string, unknown>;
        strictEqual(arrived.message, 'x');
        strictEqual(kept, 2);
        const notes = Object.values(rest).filter((value) => value !== undefined);
        strictEqual(notes.length, 1);
        match(String(notes[0]), /^\[not sent: .+\]$/);
      },
    },
    {
      type: 'an error inside itself',
      arrives: 'a note in the place of the inner one',
      wire: 'text',
      examples: {
        'as its own cause': () => {
          const error = new Error('x');
          error.cause = error;
          return error;
        },
      },
      check(arrived) {
        ok(arrived instanceof Error);
        strictEqual(arrived.message, 'x');
        strictEqual(arrived.cause, '[not sent: an error around this one]');
      },
    },
    {
      type: '`stack`',
      arrives:
        'as text; where it was thrown, with routine, worker and the frames of the caller below',
      wire: 'in the fields',
      examples: { 'of an error': madeHere },
      check(arrived) {
        ok(arrived instanceof Error);
        match(arrived.stack ?? '', /^Error: made here\n {4}at madeHere \(.*errors\.ts:\d+:\d+\)/);
      },
    },
  ],
};
