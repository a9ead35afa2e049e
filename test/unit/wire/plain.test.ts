import { expect, test } from 'vitest';
import { plain } from '../../../src/wire/plain.ts';

test('text from elsewhere can’t write to a terminal, nor begin a line', () => {
  expect(plain('\u001b]0;title\u0007red\r\nall is well')).toBe('�]0;title�red��all is well');
  expect(plain('\u202Eabc\u2066\u2028\u0085')).toBe('�abc���');
  expect(plain('ä😀, as it is')).toBe('ä😀, as it is');
});

test('long text is cut', () => {
  expect(plain('x'.repeat(1_000))).toBe(`${'x'.repeat(300)}…`);
  expect(plain('x'.repeat(300))).toHaveLength(300);
});
