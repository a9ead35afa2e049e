/** Errors that arrive, however odd they or their classes are. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { registerClass } from '../../../src/index.ts';
import { decodeError, encodeError } from '../../../src/wire/error.ts';
import { roundTrip } from './helpers.ts';

function through<T>(error: T): T {
  return decodeError(encodeError(error)) as T;
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe('an error that leads back to itself before it can be made', () => {
  class Failed extends Error {
    job: unknown;
  }
  registerClass(Failed, {
    encode: ({ message, job }) => ({ message, job }),
    decode: ({ message, job }: { message: string; job: unknown }) =>
      Object.assign(new Failed(message), { job }),
  });

  test('by what its encode gives', () => {
    const error = new Failed('disk full');
    error.job = { id: 7, error };
    const arrived = through<Error>(error);
    strictEqual(arrived.message, 'disk full');
    expect(Reflect.get(arrived, '[not sent]')).toContain('a cycle through an instance of Failed');
  });

  test.each(['message', 'name'])('by its %s', (key) => {
    const inside = { id: 7 };
    const error = new Error('m', { cause: inside });
    Object.defineProperty(error, key, { value: { inside, deep: [error] } });
    for (const arrived of [through(error), roundTrip(error)]) {
      const value = Reflect.get(arrived, key) as { inside: unknown };
      expect(value).toMatch(/^\[not sent: \.?deep\[0\]: an error in its own name or message/);
      deepStrictEqual(arrived.cause, inside);
    }
  });
});

describe('an error with what nobody can look at', () => {
  const note = /^\[not sent: reading it failed/;

  test('as its cause', () => {
    const arrived = through(new Error('why', { cause: revoked() }));
    strictEqual(arrived.message, 'why');
    expect(arrived.cause).toMatch(note);
  });

  test('among its errors', () => {
    const arrived = through(new AggregateError([new RangeError('one'), revoked()], 'both'));
    strictEqual(arrived.message, 'both');
    ok(arrived.errors[0] instanceof RangeError);
    expect(arrived.errors[1]).toMatch(note);
  });

  test('in the place of its errors', () => {
    const errors = revoked();
    const arrived = through(Object.assign(new Error('list'), { errors }));
    strictEqual(arrived.message, 'list');
    expect(arrived.errors).toMatch(note);
  });
});

describe('what is frozen', () => {
  test('an error that decode gives stays as it is', () => {
    class Cold extends Error {}
    registerClass(Cold, {
      encode: ({ message }) => message,
      decode: (message: string) => Object.freeze(new Cold(message)),
    });
    const arrived = through(Object.assign(new Cold('ice'), { cause: 'winter' }));
    ok(arrived instanceof Cold);
    strictEqual(arrived.message, 'ice');
    ok(Object.isFrozen(arrived));
  });

  test('the class Error', () => {
    const { stackTraceLimit } = Error;
    Object.defineProperty(Error, 'stackTraceLimit', { writable: false });
    try {
      strictEqual(through(new Error('late')).message, 'late');
    } finally {
      Object.defineProperty(Error, 'stackTraceLimit', { writable: true, value: stackTraceLimit });
    }
  });
});

test('bytes that give an error a class of no errors get one of the class below it', () => {
  class Spot1 {}
  class Sport1 extends RangeError {}
  registerClass(Spot1);
  registerClass(Sport1, { name: 'Spor1' });
  const text = Buffer.from(encodeError(new Sport1('x'))).toString('latin1');
  const arrived = decodeError(Buffer.from(text.replace('Spor1', 'Spot1'), 'latin1')) as Error;
  strictEqual(Object.getPrototypeOf(arrived), RangeError.prototype);
});
