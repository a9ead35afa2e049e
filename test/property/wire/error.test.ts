import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { decodeError, encodeError } from '../../../src/wire/error.ts';
import { assertArrived } from '../../unit/wire/helpers.ts';
import { graph, text, tree } from './arbitraries.ts';
import { fromEntries } from './properties.ts';

const classes = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];

/** Errors with a cause, errors inside and own properties, all of which travel. */
function errorAround(inner: fc.Arbitrary<unknown>): fc.Arbitrary<Error> {
  return fc
    .record({
      Class: fc.constantFrom(...classes),
      message: text,
      cause: inner,
      errors: fc.option(fc.array(inner, { maxLength: 2 }), { nil: undefined }),
      own: fc.array(fc.tuple(text, tree), { maxLength: 2 }),
    })
    .map(({ Class, message, cause, errors, own }) => {
      const options = cause === undefined ? {} : { cause };
      const made = errors
        ? new AggregateError(errors, message, options)
        : new Class(message, options);
      // The text is made when it is first asked for, and then from the name that `own` may have set: where
      // that is no text, asking throws.
      void made.stack;
      return fromEntries(made, own) as Error;
    });
}

const error = errorAround(fc.oneof(tree, errorAround(fc.oneof(tree, errorAround(tree)))));

const untravelable = fc.constantFrom<unknown[]>(
  () => {},
  Symbol('s'),
  new WeakMap(),
  Object(Symbol('s')),
);

describe('an error', () => {
  test('arrives equal, with class, stack, cause, errors and own properties', () => {
    fc.assert(
      fc.property(error, (thrown) => {
        const arrived = decodeError(encodeError(thrown)) as Error;
        strictEqual(Object.getPrototypeOf(arrived), Object.getPrototypeOf(thrown));
        assertArrived(arrived, thrown);
        strictEqual(arrived.stack, thrown.stack);
        assertArrived(arrived.cause, thrown.cause);
      }),
      { numRuns: 100 },
    );
  });

  test('arrives whatever its parts are', () => {
    const part = fc.oneof(tree, untravelable, error);
    fc.assert(
      fc.property(error, fc.array(fc.tuple(text, part)), part, (thrown, own, cause) => {
        fromEntries(thrown, own);
        if (Object.isExtensible(thrown)) Object.defineProperty(thrown, 'cause', { value: cause });
        const arrived = decodeError(encodeError(thrown));
        ok(arrived instanceof Error);
        deepStrictEqual(Object.keys(arrived), Object.keys(thrown));
      }),
      { numRuns: 100 },
    );
  });
});

describe('anything else that is thrown', () => {
  test('arrives as itself, or as an error that explains', () => {
    fc.assert(
      fc.property(fc.oneof(graph, untravelable), (thrown) => {
        const arrived = decodeError(encodeError(thrown));
        if (typeof thrown === 'function' || typeof thrown === 'symbol')
          ok(arrived instanceof Error);
      }),
    );
  });
});
