import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { Decoder } from 'cbor-x';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeValue, encodeArgs, encodeValue } from '../../../src/wire/value.ts';
import { assertArrived, hex, refusal, roundTrip, single } from './helpers.ts';

function headers(...entries: [string, string][]): Headers {
  return new Headers(entries);
}

class Link extends URL {}
class Query extends URLSearchParams {}
class Names extends Headers {}

describe('arrives equal', () => {
  const equal: [name: string, value: object][] = [
    ['a URL', new URL('https://user:pass@example.org:8443/a/b%20c?q=1&q=2#part')],
    ['a URL of another scheme', new URL('urn:isbn:0451450523')],
    ['a URL with a name that is not ASCII', new URL('https://bücher.example/ü?ü#ü')],
    ['URLSearchParams', new URLSearchParams('a=1&b=&a=2&=x&&c=%26+%3D')],
    ['URLSearchParams with a question mark', new URLSearchParams([['?a', '?']])],
    ['empty URLSearchParams', new URLSearchParams()],
    ['Headers', headers(['B', '1'], ['a', '2'], ['b', '3'], ['x-latin', '\xfc'], ['empty', ''])],
    ['Headers with cookies', headers(['set-cookie', 'a=1'], ['x', 'y'], ['Set-Cookie', 'b=2, c'])],
    ['Headers with empty values', headers(['a', ''], ['a', ''], ['b', ''], ['b', 'c'], ['b', ''])],
    ['empty Headers', new Headers()],
  ];

  test.each(equal)('%s', (_name, value) => {
    assertArrived(roundTrip(value), value);
    const many = { value, again: [value], map: new Map([[value, value]]) };
    const arrived = roundTrip(many);
    assertArrived(arrived, many);
    strictEqual(arrived.again[0], arrived.value);
    strictEqual(arrived.map.get(arrived.value), arrived.value);
  });

  test('cookies one by one', () => {
    const sent = headers(['set-cookie', 'a=1'], ['set-cookie', 'b=2']);
    deepStrictEqual(roundTrip(sent).getSetCookie(), ['a=1', 'b=2']);
  });

  test('the headers of a response', () => {
    const sent = new Response('', { headers: { a: 'b' } }).headers;
    assertArrived(roundTrip(sent), sent);
  });

  test('URLs of all sorts', () => {
    const piece = fc.constantFrom(
      ...[
        'http:',
        'FILE:',
        'ws:',
        'foo:',
        'blob:',
        'data:',
        '/',
        '//',
        '\\',
        '@',
        ':',
        '?',
        '#',
        '%',
      ],
      ...[
        'ü',
        'a',
        'A',
        '.',
        '[::1]',
        '0x7f',
        '8080',
        ' ',
        '\t',
        '%C3%BC',
        'xn--tda',
        '\ud800',
        '..',
        'c|',
      ],
    );
    const text = fc.array(piece, { minLength: 2, maxLength: 9 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, (text) => {
        fc.pre(URL.canParse(text));
        assertArrived(roundTrip(new URL(text)), new URL(text));
      }),
      { numRuns: 5_000, maxSkipsPerRun: 1_000 },
    );
  });

  test('URLs with long hosts, if only ASCII', () => {
    const label = 'a'.repeat(60);
    for (const scheme of ['http', 'foo']) {
      const url = new URL(`${scheme}://${`${label}.`.repeat(1_000)}`);
      assertArrived(roundTrip(url), url);
    }
    const wide = new URL(`http://${'ü.'.repeat(30)}/`);
    assertArrived(roundTrip(wide), wide);
  });

  test('a URL that other implementations understand', () => {
    const bytes = single(encodeValue(new URL('http://www.example.com/')));
    deepStrictEqual(bytes, hex('d82077687474703a2f2f7777772e6578616d706c652e636f6d2f'));
    strictEqual(new Decoder().decode(bytes).value, 'http://www.example.com/');
  });
});

describe('refused', () => {
  const cases: [name: string, value: object, message: RegExp][] = [
    ['a subclass of URL', new Link('a:b'), /an instance of Link/],
    ['a subclass of URLSearchParams', new Query(), /an instance of Query/],
    ['a subclass of Headers', new Names(), /an instance of Names/],
    ['a URL with names', Object.assign(new URL('a:b'), { x: 1 }), /a URL with properties/],
    ['parameters with names', Object.assign(new URLSearchParams(), { x: 1 }), /with properties/],
    ['Headers with names', Object.assign(new Headers(), { x: 1 }), /Headers with properties/],
    ['a false URL', Object.create(URL.prototype), /reading it failed/],
    ['false Headers', Object.create(Headers.prototype), /reading it failed/],
    ['another class of that name', new (class Headers {})(), /an instance of Headers/],
  ];

  test.each(cases)('%s', (_name, value, message) => {
    const error = refusal(() => encodeArgs([value]));
    expect(error.path).toMatch(/^args\[0\]/);
    expect(error.message).toMatch(message);
  });

  test('a class of the program whose tag is that of Headers', () => {
    class Other {
      get [Symbol.toStringTag](): string {
        throw new Error('asked');
      }
    }
    class Third {}
    Object.defineProperty(Third.prototype, Symbol.toStringTag, { value: 'Headers' });
    expect(refusal(() => encodeArgs([new Other()])).message).toMatch(/an instance of Other/);
    expect(refusal(() => encodeArgs([new Third()])).message).toMatch(/an instance of Third/);
  });

  test('a long host that is not ASCII, which takes long to read', () => {
    const value = new URL(`http://me@${'ü'.repeat(300)}/`);
    expect(refusal(() => encodeValue(value)).message).toMatch(
      /a URL with a host that is not ASCII/,
    );
    const read = (text: string) => () => {
      const bytes = single(encodeValue(text));
      return decodeValue(Buffer.concat([hex('d820'), bytes]));
    };
    refusal(read(value.href));
    // All of them are that URL, if they are parsed.
    for (const host of [
      'ü'.repeat(300),
      '%C3%BC'.repeat(300),
      value.host,
      value.host.toUpperCase(),
    ]) {
      for (const start of [
        'http://',
        'http:',
        'HTTP://',
        ' http://',
        'h\tttp://',
        'http:///',
        'http:\\',
      ]) {
        refusal(read(`${start}me@${host}/`));
        refusal(read(`${start}${host}`));
      }
    }
  });

  const damaged: [name: string, bytes: string][] = [
    ['a URL that is none', 'd820 6161'],
    ['a URL of bytes', 'd820 4161'],
    ['parameters without text', 'd81b 81 6f 55524c536561726368506172616d73'],
    ['Headers without entries', 'd81b 81 67 48656164657273'],
    ['Headers that lie', 'd81b 82 67 48656164657273 9affffffff'],
    ['a header without a value', 'd81b 82 67 48656164657273 81 81 6161'],
    ['a header with a bad name', 'd81b 82 67 48656164657273 81 82 6120 6161'],
    ['a type that nobody knows', 'd81b 82 6b 636f6e7374727563746f72 6161'],
    ['no type', 'd81b 80'],
  ];

  test.each(damaged)('damaged: %s', (_name, bytes) => {
    refusal(() => decodeValue(hex(bytes)));
  });
});
