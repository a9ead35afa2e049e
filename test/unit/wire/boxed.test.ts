import { ok, strictEqual } from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { decodeValue, encodeArgs } from '../../../src/wire/value.ts';
import { assertArrived, hex, refusal, roundTrip } from './helpers.ts';

describe('a boxed primitive', () => {
  const values = [1, -0, Number.NaN, 2 ** 53, '', 'text', '\uD800', true, false, 0n, 2n ** 70n];

  test.each(values)('%o arrives in its box', (primitive) => {
    const box = Object(primitive) as object;
    assertArrived(roundTrip([box, { box }]), [box, { box }]);
    const arrived = roundTrip([box, box]) as [object, object];
    strictEqual(arrived[0], arrived[1]);
    ok(Object.is(arrived[0].valueOf(), primitive));
    strictEqual(typeof arrived[0], 'object');
  });

  class Id extends String {}
  const named = Object.assign(new String('ab'), { x: 1 });
  const refused: [name: string, value: object, message: RegExp][] = [
    ['a symbol', Object(Symbol('s')), /a boxed symbol .*string/],
    ['an instance of a subclass', new Id('a'), /an instance of Id/],
    ['a number with names', Object.assign(new Number(1), { x: 1 }), /a boxed number with prop/],
    ['a string with names', named, /a boxed string with properties/],
    ['what only has the prototype', Object.create(Number.prototype), /reading it failed/],
  ];

  test.each(refused)('%s is refused', (_name, value, message) => {
    expect(refusal(() => encodeArgs([value])).message).toMatch(message);
  });

  test.each([
    'd81b 81 66 4e756d626572',
    'd81b 82 66 4e756d626572 6161',
    'd81b 82 66 426967496e74 01',
  ])('damaged: %s', (bytes) => {
    refusal(() => decodeValue(hex(bytes)));
  });
});
