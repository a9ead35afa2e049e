import { describe, expect, test } from 'vitest';
import { RoutineNotFound } from '../../src/errors.ts';
import { findFrames } from '../../src/routine/frames.ts';
import { addCallerStack, stackText } from '../../src/routine/stack.ts';

const SRC = new URL('../../src/', import.meta.url);
const OWN = `    at call (${SRC}routine/routine.ts:1:1)`;
const ENTRY = `    at async move (${SRC.pathname}actors/execution.ts:1:1)`;
const USER = '    at work (file:///app/work.ts:1:1)';
const LINE = '    at add (worker w1)';
const below = '    at carries (file:///app/node_modules/carries.js:1:1)';

const text = stackText({ routine: 'file:///app/work.ts#add', worker: 'w1' });

/** What an error sends whose stack has these lines. */
function sent(error: Error, ...lines: string[]): string[] {
  error.stack = lines.join('\n');
  const stack = text(error.stack, error, true) ?? '';
  expect(error.stack).toBe(lines.join('\n'));
  return stack.split('\n');
}

describe('the stack that a worker sends', () => {
  test('has no frames of the runtime, nothing below them, and a line with routine and worker', () => {
    const error = new Error('x');
    expect(sent(error, 'Error: x', USER, OWN, USER, ENTRY, below)).toEqual([
      'Error: x',
      USER,
      USER,
      LINE,
    ]);
  });

  test('of an error inside another one has no such line', () => {
    const stack = ['Error: x', USER, ENTRY].join('\n');
    expect(text(stack, new Error('x'), false)).toBe(`Error: x\n${USER}`);
    expect(text(undefined, new Error('x'), false)).toBe(undefined);
  });

  test('keeps the frames that came with the error', () => {
    const lines = ['Error: x', USER, ENTRY, '    at inner (worker w2)', USER];
    expect(sent(new Error('x'), ...lines, OWN)).toEqual([...lines, LINE]);
  });

  test('keeps a message that looks like frames', () => {
    const message = `see:\n${ENTRY}\n    at inner (worker w2)\n${OWN}`;
    expect(sent(new Error(message), `Error: ${message}`, USER, OWN, USER)).toEqual([
      ...`Error: ${message}`.split('\n'),
      USER,
      USER,
      LINE,
    ]);
  });

  test('shows the frames of the runtime where there are no others: it made a mistake', () => {
    const lines = ['TypeError: x', OWN, ENTRY, below];
    expect(sent(new TypeError('x'), ...lines)).toEqual([...lines, LINE]);
  });

  test('does not show them where the error is one of the runtime’s', () => {
    expect(sent(new RoutineNotFound('x'), 'RoutineNotFound: x', OWN, ENTRY, below)).toEqual([
      'RoutineNotFound: x',
      LINE,
    ]);
  });

  test('is made of name and message where the error has none', () => {
    expect(text(undefined, new TypeError('x'), true)).toBe(`TypeError: x\n${LINE}`);
  });

  test('has one line for the worker, whatever its routine is called', () => {
    const named = stackText({ routine: 'm#add\n  two#', worker: 'w1' });
    expect(named('Error: x', new Error('x'), true)).toBe('Error: x\n    at add two# (worker w1)');
  });

  test('is custom text as it is', () => {
    expect(sent(new Error('x'), 'anything')).toEqual(['anything', LINE]);
  });
});

describe('the frames of the caller', () => {
  function caught(error: Error): string[] {
    return (addCallerStack(error).stack as string).split('\n');
  }

  test('are directly below those of the worker', () => {
    const error = new Error('x');
    error.stack = `Error: x\n${USER}\n${LINE}`;
    const lines = caught(error);
    expect(lines.slice(0, 3)).toEqual(['Error: x', USER, LINE]);
    expect(lines[3]).toContain('stack.test.ts');
    expect(Object.keys(error)).toEqual([]);
  });

  test('are as many as the program wants', () => {
    const { stackTraceLimit } = Error;
    function deep(n: number): string[] {
      return n === 0 ? caught(Object.assign(new Error('x'), { stack: 'Error: x' })) : deep(n - 1);
    }
    try {
      for (const limit of [0, 3, 40]) {
        Error.stackTraceLimit = limit;
        expect(deep(50)).toHaveLength(1 + limit);
        expect(Error.stackTraceLimit).toBe(limit);
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  });

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['gives no text', () => [1, 2]],
  ])('do not depend on an Error.prepareStackTrace that %s', (_what, own) => {
    const { prepareStackTrace } = Error;
    const error = new Error('x');
    error.stack = 'Error: x';
    try {
      Error.prepareStackTrace = own;
      addCallerStack(error);
      expect(Error.prepareStackTrace).toBe(own);
    } finally {
      Error.prepareStackTrace = prepareStackTrace;
    }
    expect(error.stack).toContain('stack.test.ts');
  });

  test('are those of its own caller on an error of the runtime that fails many calls', () => {
    const error = new RoutineNotFound('x');
    const one = () => addCallerStack(error);
    const other = () => addCallerStack(error);
    const [first, second] = [one(), other()];
    expect(first.stack).toMatch(/^RoutineNotFound: x\n {4}at one .*stack\.test\.ts/);
    expect(second.stack).toMatch(/^RoutineNotFound: x\n {4}at other .*stack\.test\.ts/);
    expect(first.stack?.split('\n').length).toBe(second.stack?.split('\n').length);
    expect(second).toBeInstanceOf(RoutineNotFound);
    expect(second).toEqual(first);
    expect(second).not.toBe(first);
    expect(Object.keys(second)).toEqual(Object.keys(first));
  });

  test.each<[string, Error]>([
    ['a frozen error', Object.freeze(new Error('x'))],
    [
      'a stack that throws',
      Object.defineProperty(new Error('x'), 'stack', {
        get() {
          throw 1;
        },
      }),
    ],
    ['no stack', Object.defineProperty(new Error('x'), 'stack', { value: undefined })],
    [
      'a Proxy that throws',
      new Proxy(new Error('x'), {
        get() {
          throw 1;
        },
      }),
    ],
  ])('are not there, and nothing fails, with %s', (_what, error) => {
    expect(addCallerStack(error)).toBe(error);
  });
});

describe('a frame of the runtime', () => {
  test.each<[string, boolean, string[]]>([
    [
      'file:///app/my%20(node)/skein/dist/routine/frames.js',
      false,
      [
        'file:///app/my%20(node)/skein/dist/',
        '/app/my (node)/skein/dist/',
        '/app/my (node)/skein/src/',
      ],
    ],
    [
      'file:///app/node_modules/.pnpm/skein@0.1.0/node_modules/skein/dist/routine/frames.js',
      false,
      [
        'file:///app/node_modules/.pnpm/skein@0.1.0/node_modules/skein/dist/',
        '/app/node_modules/.pnpm/skein@0.1.0/node_modules/skein/src/',
      ],
    ],
    [
      'file:///C:/my%20app/node_modules/skein/dist/routine/frames.js',
      true,
      [
        'file:///C:/my%20app/node_modules/skein/dist/',
        'C:\\my app\\node_modules\\skein\\dist\\',
        'C:\\my app\\node_modules\\skein\\src\\',
      ],
    ],
  ])('is known by its place: %s', (url, windows, places) => {
    const { isOwn, isEntry } = findFrames(url, windows);
    const separator = windows ? /\//g : /$^/;
    for (const place of places) {
      const path = (name: string) =>
        place + (place.startsWith('file:') ? name : name.replace(separator, '\\'));
      for (const file of [path('routine/routine.js'), path('actors/session.ts')]) {
        for (const line of [
          `    at call (${file}:1:1)`,
          `    at async call (${file}:1:1)`,
          `    at new Link [as link] (${file}:1:1)`,
          `    at ${file}:1:1`,
          `    at async ${file}:1:1`,
        ]) {
          expect(line).toSatisfy(isOwn);
          expect(isEntry(line)).toBe(line.includes('session'));
        }
      }
      const other = path('work.ts').replace(/(dist|src)/, 'lib');
      expect(isOwn(`    at work (${other}:1:1)`)).toBe(false);
      expect(isOwn(`Error: at call (${place}work.js:1:1)`)).toBe(false);
      expect(isOwn(`    at eval (eval at call (${place}work.js:1:1), <anonymous>:1:1)`)).toBe(
        false,
      );
    }
  });

  test('is none in a bundle', () => {
    const { isOwn } = findFrames('file:///app/dist/bundle.js', false);
    expect(isOwn('    at work (file:///app/dist/bundle.js:1:1)')).toBe(false);
  });
});
