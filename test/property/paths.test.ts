/** What peers get where they are not to learn of the file system, whatever stands around a path. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pathHider } from '../../src/security/paths.ts';
import { withoutStacks } from '../../src/wire/codec.ts';
import { decodeError, encodeError } from '../../src/wire/error.ts';
import { decodeValue, encodeValue } from '../../src/wire/value.ts';

const roots = ['home', 'etc', 'tmp', 'srv', 'a.b+c'];
const posix = pathHider({ windows: false, roots, folders: ['/home/my user/app'] });
const windows = pathHider({ windows: true, roots: [], folders: ['C:\\Program Files\\app'] });

/** One step of a path, which nothing else has. */
const step = fc.stringMatching(/^[\w.+@=-]{0,6}$/).map((text) => `SECRET${text}`);
const steps = fc.array(step, { minLength: 1, maxLength: 4 });
const spaced = fc.array(
  fc.tuple(step, step).map((two) => two.join(' ')),
  {
    minLength: 1,
    maxLength: 3,
  },
);
const words = fc.constantFrom(
  '',
  'ENOENT: no such file or directory, open ',
  'Cannot find module ',
  'at main (',
  'imported from ',
  'path=',
  'Error: ',
  '[',
  'it\n    at ',
  '{"file":',
);
const after = fc.constantFrom('', ')', ':3:5', ', and more', '\n', ' is not there', '] }', ';');
const unquoted = fc.tuple(words, after).map(
  ([a, b]) =>
    (path: string) =>
      `${a}${path}${b}`,
);
const quoted = fc.tuple(words, fc.constantFrom("'", '"', '`'), after).map(
  ([a, quote, b]) =>
    (path: string) =>
      `${a}${quote}${path}${quote}${b}`,
);
const either = fc.oneof(unquoted, quoted);

describe('a path goes out of a text', () => {
  test('on Linux and macOS', () => {
    const plain = fc
      .tuple(fc.constantFrom(...roots), steps)
      .map(([root, rest]) => `/${[root, ...rest].join('/')}`);
    const uneven = fc
      .tuple(fc.constantFrom(...roots), spaced)
      .map(([root, rest]) => `/${[root, ...rest].join('/')}`);
    const url = fc
      .tuple(fc.constantFrom('file://', 'unix://', 'beat+unix://'), plain)
      .map((parts) => parts.join(''));
    const known = steps.map((rest) => `/home/my user/app/${rest.join('/')}`);
    fc.assert(
      fc.property(fc.oneof(plain, url, known), either, (path, around) => {
        expect(posix(around(path))).not.toMatch(/SECRET|my user/);
      }),
    );
    fc.assert(
      fc.property(uneven, quoted, (path, around) => {
        expect(posix(around(path))).not.toContain('SECRET');
      }),
    );
  });

  test('on Windows', () => {
    const start = fc.constantFrom('C:\\', 'd:/', '\\\\host\\', '\\\\?\\C:\\', '\\\\?\\UNC\\host\\');
    const path = fc.tuple(start, steps).map(([begin, rest]) => begin + rest.join('\\'));
    const known = steps.map((rest) => `C:\\Program Files\\app\\${rest.join('\\')}`);
    fc.assert(
      fc.property(fc.oneof(path, known), either, (path, around) => {
        expect(windows(around(path))).not.toMatch(/SECRET|Program Files/);
      }),
    );
  });
});

test.each([
  'GET /api/users failed',
  'http://host/home/x and https://host:1/tmp/y are routes',
  'no file /homestead/x',
  'see ./tmp/x, ../etc/y and src/tmp/z.ts',
  'node:internal/modules/run_main',
  'a/b, 1/2 and 100%/home',
])('what is no path stays: %s', (text) => {
  expect(posix(text)).toBe(text);
});

test('a text of any length takes time in proportion to it', () => {
  const text = `/home${"/a'".repeat(200_000)}`;
  const begin = performance.now();
  posix(text);
  posix(`${'/'.repeat(500_000)}home`);
  windows('C:\\'.repeat(200_000));
  expect(performance.now() - begin).toBeLessThan(3_000);
});

describe('an error goes', () => {
  const hidden = (error: unknown) =>
    withoutStacks(posix, () => decodeError(encodeError(error), true)) as Error & {
      [key: string]: unknown;
    };
  const inside = () => {
    const cause = Object.assign(new Error("open '/nowhere/SECRET'"), {
      code: 'ENOENT',
      path: '/nowhere/SECRET',
      url: new URL('file:///home/SECRET'),
      list: ['/etc/SECRET', { deep: new Map([['/tmp/SECRET', '/srv/SECRET:1']]) }],
    });
    return new AggregateError([new RangeError('/home/SECRET'), '/tmp/SECRET'], 'at /etc/SECRET', {
      cause,
    });
  };

  test('without the paths in what it says, has and is around, and keeps the rest', () => {
    const error = hidden(inside()) as unknown as AggregateError & { cause: { code: string } };
    const all = JSON.stringify(decompose(error));
    expect(all).not.toContain('SECRET');
    expect(all).not.toContain('paths.test');
    expect(error.message).toBe('at [path not sent]');
    expect(error.cause).toMatchObject({ code: 'ENOENT', path: '[path not sent]' });
    expect(error.errors[0]).toBeInstanceOf(RangeError);
  });

  test('the same in a value, whose other texts stay as they are', () => {
    const value = { error: inside(), path: '/home/SHOWN' };
    const bytes = withoutStacks(posix, () => encodeValue(value)) as Uint8Array;
    expect(Buffer.from(bytes).includes('SECRET')).toBe(false);
    expect(decodeValue(bytes)).toMatchObject({ path: '/home/SHOWN' });
  });

  test('the same when it is none', () => {
    expect(hidden('no /etc/SECRET')).toBe('no [path not sent]');
    expect(hidden({ file: '/etc/SECRET' })).toEqual({ file: '[path not sent]' });
  });

  test('where reading it fails', () => {
    const broken = new Error('x');
    Object.defineProperty(broken, 'bad', {
      enumerable: true,
      get: () => {
        throw new Error('/etc/SECRET');
      },
    });
    const noted = Object.assign(new Error('y'), { symbol: { deep: () => '/etc/SECRET' } });
    for (const error of [broken, noted, new Proxy(broken, { getOwnPropertyDescriptor: fails })]) {
      expect(JSON.stringify(decompose(hidden(error)))).not.toContain('SECRET');
    }
  });
});

function fails(): never {
  throw new Error('/etc/SECRET');
}

/** All that it has, for a look. */
function decompose(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(decompose);
  if (Array.isArray(value)) return value.map(decompose);
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof URL) return value.href;
  const keys = Reflect.ownKeys(value).map(String);
  return keys.map((key) => [key, decompose((value as Record<string, unknown>)[key])]);
}
