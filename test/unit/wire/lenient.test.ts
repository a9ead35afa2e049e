/** Errors whose receiver lacks a class: they arrive, with notes. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { registerClass } from '../../../src/index.ts';
import { decodeError, encodeError } from '../../../src/wire/error.ts';
import { decodeValue, encodeArgs } from '../../../src/wire/value.ts';
import { refusal, single } from './helpers.ts';

class Plain1 {
  secret = { content: [1] };
}
registerClass(Plain1);

class Coded1 {
  readonly content: object;
  constructor(content: object = {}) {
    this.content = content;
  }
}
registerClass(Coded1, {
  encode: ({ content }) => content,
  decode: (content: object) => new Coded1(content),
});

class Listed1 {
  user = 'ann';
}
registerClass(Listed1, { fields: ['user'] });

/** The bytes as another program would have them, which has no `name`, but a class of the other name. */
function renamed(bytes: Uint8Array, name: string, other: string): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  return Buffer.from(text.replace(name, other), 'latin1');
}

/** A thrown error, decoded where `name` is not known. */
function arrivedWithout(name: string, error: Error): Record<string, unknown> {
  const bytes = renamed(encodeError(error, { stack: false }), name, name.replace('1', '9'));
  return decodeError(bytes, true) as Record<string, unknown> & Error;
}

describe('an error with an instance of a class that is not known', () => {
  test.each([
    ['by its properties', new Plain1()],
    ['by its fields', new Listed1()],
    ['by what its encode gives', new Coded1()],
    ['by a list that its encode gives', new Coded1([{}, {}])],
    ['by a text that its encode gives', new Coded1('text' as never)],
  ])('%s, keeps what occurs twice', (_how, instance) => {
    const [x, y] = [{ me: 'x' }, { me: 'y' }];
    const error = Object.assign(new Error('m'), { instance, list: [x, y], x, y, again: instance });
    const arrived = arrivedWithout(instance.constructor.name, error);
    deepStrictEqual(arrived.list, [x, y]);
    const [first, second] = arrived.list as unknown[];
    strictEqual(arrived.x, first);
    strictEqual(arrived.y, second);
    expect(arrived.instance).toMatch(/^\[not known here: an instance of class '\w+9' of file:/);
    strictEqual(arrived.again, '[not known here]');
  });
});

describe('an instance whose class is registered otherwise', () => {
  test('without encode and decode where it was sent', () => {
    const bytes = renamed(single(encodeArgs([new Plain1()])), 'Plain1', 'Coded1');
    expect(refusal(() => decodeValue(bytes)).message).toContain(
      'class Coded1 has no encode over there and decode here',
    );
  });

  test('with encode and decode where it was sent', () => {
    const bytes = renamed(single(encodeArgs([new Coded1()])), 'Coded1', 'Plain1');
    expect(refusal(() => decodeValue(bytes)).message).toContain(
      'class Plain1 has encode over there and no decode here',
    );
  });
});
