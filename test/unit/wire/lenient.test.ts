/** Errors whose receiver lacks a class: they arrive, with notes. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { registerClass } from '../../../src/index.ts';
import { decodeError, encodeError } from '../../../src/wire/error.ts';
import { decodeValue, encodeArgs, encodeValue } from '../../../src/wire/value.ts';
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
    expect(arrived.instance).toMatch(
      /^\[not known here: an instance of class '\w+9' of skein\/test\/unit\//,
    );
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

describe('notes', () => {
  const text = (value: string) => Buffer.from(single(encodeValue(value)));
  const hex = (bytes: string) => Buffer.from(bytes, 'hex');
  /** An error with a list whose first item names something not known. */
  const naming = (first: string, name: string) =>
    Buffer.concat([
      ...[hex('d9eb0983'), text('Error'), hex('a0a1'), text('list'), hex('990000')],
      ...[hex(first), text('file:///not/here.mjs'), text(name)],
    ]);
  const list = (bytes: Buffer, count: number) => {
    bytes.writeUInt16BE(count, bytes.indexOf(hex('990000')) + 1);
    return (decodeError(bytes, true) as Error & { list: string[] }).list;
  };

  test.each([
    ['routines', 'd9eb0b82', 'd9eb0b00'],
    ['instances', 'd9eb0d8282', 'd9eb0d8200'],
  ])('on %s with a long name keep its ends', (_what, first, next) => {
    const count = 1_000;
    // The content of an instance.
    const end = first.endsWith('8282') ? 'a0' : '';
    const bytes = naming(first, 'x'.repeat(100_000));
    const items = Array.from({ length: count - 1 }, () => hex(next + end));
    const arrived = list(Buffer.concat([bytes, hex(end), ...items]), count);
    strictEqual(arrived.length, count);
    expect(arrived[0]).toMatch(/^\[not known here: .* 'x{90}…x{90}' of file:\/\/\/not\/here.mjs]$/);
    strictEqual(new Set(arrived).size, 1);
  });

  test('are counted as memory', () => {
    const item = (i: number) =>
      Buffer.concat([hex('d9eb0b82'), text(`file:///${i}`), text(String(i))]);
    const items = Buffer.concat(Array.from({ length: 1_000 }, (_, i) => item(i)));
    refusal(() => list(Buffer.concat([naming('d9eb0b82', 'x'), items]), 1_001));
  });

  test('are not given for a name of another kind', () => {
    const bytes = Buffer.concat([naming('d9eb0b82', 'x'), hex('d9eb0c00')]);
    expect(refusal(() => list(bytes, 2)).message).toContain('refers to a name that is not there');
  });
});
