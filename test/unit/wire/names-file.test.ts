/** Which encoded values may have a reader import a file. */
import { expect, test } from 'vitest';
import { mayNameFile } from '../../../src/wire/context.ts';
import { registerName } from '../../../src/wire/names.ts';
import { encodeAlone } from '../../../src/wire/value.ts';

function named(module: string): object {
  const routine = () => {};
  registerName({ kind: 'routine', module, name: 'routine' }, routine);
  return routine;
}

test.each([1, 20, 200, 70_000])(
  'a routine of a file, with a URL of %i and more bytes',
  (length) => {
    const value = [1, { it: named(`file:///${'x'.repeat(length)}.js`) }];
    expect(mayNameFile(encodeAlone(value, 'value'))).toBe(true);
  },
);

test('a name in UTF-16', () => {
  expect(mayNameFile(Buffer.from('file:///x.js', 'utf16le'))).toBe(true);
});

test.each([
  ['a routine of a package', named('my-app/file:x.js')],
  ['a text with a URL in it', [new Error('in file:///x.js:1:2').stack, 'see file:///x.js']],
  ['bytes', new Uint8Array(100).fill(0x66)],
])('not %s', (_what, value) => {
  expect(mayNameFile(encodeAlone(value, 'value'))).toBe(false);
});
