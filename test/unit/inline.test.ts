/** What `routine.inline` takes and refuses, and what it sends. */
import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  InlineFunctionError,
  type Remote,
  type Routine,
  routine,
  SerializationError,
} from '../../src/index.ts';
import { type Dispatcher, dispatcherOf } from '../../src/routine/dispatcher.ts';
import { decodeValue, type Encoded, encodeValue } from '../../src/wire/value.ts';

type Any = (...args: unknown[]) => unknown;

/** What an expression gives. It is evaluated here so that no compiler changes its functions. */
function made(expression: string): Any {
  return new Function(`return (${expression})`)() as Any;
}

function refused(fn: unknown, captures: Record<string, unknown> = {}): InlineFunctionError {
  try {
    routine.inline(fn as Any, { captures });
  } catch (error) {
    if (error instanceof InlineFunctionError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** A pool that keeps what it is sent. */
class Mailbox {
  readonly sent: unknown[] = [];
  readonly [dispatcherOf] = {
    call: async (_request: unknown, args: Encoded) => {
      this.sent.push(decodeValue(args as Uint8Array));
      return undefined;
    },
  } as unknown as Dispatcher;
}

describe('names that a worker does not have', () => {
  test('are all named, with what to write', () => {
    const error = refused(made('(x) => x * factor + tax(x) - factor'));
    expect(error.code).toBe('INLINE_FUNCTION');
    expect(error.missing).toEqual(['factor', 'tax']);
    expect(error.message).toBe(
      "'anonymous' can't be sent to a worker by its source: it uses factor, tax, which a worker " +
        'does not have: pass values by { captures: { factor, tax } }',
    );
    expect(refused(made('(x) => x * factor + tax'), { factor: 1 }).missing).toEqual(['tax']);
  });

  test.each<[string, string, string[]]>([
    ['of an async function', 'async function f(x) { await other(x) }', ['other']],
    ['of a generator', 'function* () { yield* other() }', ['other']],
    [
      'of an async generator',
      'async function* () { for await (const x of other) yield x }',
      ['other'],
    ],
    ['of a method', '({ m(x) { return x + other } }).m', ['other']],
    ['of an async method', '({ async m(x) { await other(x) } }).m', ['other']],
    ['of a generator method', '({ async *m(x) { yield other } }).m', ['other']],
    ['of a method with a computed key', "({ ['a' + 'b']() { return other } }).ab", ['other']],
    ['of a method with an odd name', "({ 'a-b'() { return other } })['a-b']", ['other']],
    ['of a method called like a keyword', '({ function() { return other } }).function', ['other']],
    ['of a static method', '(class { static async m() { return other } }).m', ['other']],
    [
      'of a private method',
      '(class { #m() { return other } static f = new this().#m }).f',
      ['other'],
    ],
    [
      'of a getter',
      "Object.getOwnPropertyDescriptor({ get p() { return other } }, 'p').get",
      ['other'],
    ],
    ['of a field', '(class { static f = () => other }).f', ['other']],
    ['of a function inside', '() => [1].map((x) => x + other)', ['other']],
    ['in the default of a parameter', '({ x = limit }, y = other) => x + y', ['limit', 'other']],
    ['in a template', 'function f() { return `$' + '{other}` }', ['other']],
    [
      'behind a declaration of the same name',
      '() => { { let other = 1 } return other }',
      ['other'],
    ],
    ['that it assigns', '() => { count += 1 }', ['count']],
    ['that coverage puts in', '() => { cov_1a2b().s[0]++; return 1 }', ['cov_1a2b']],
    ['that have the name of a property', '() => ({ own: 1 }).own + other.own', ['other']],
  ])('%s', (_title, expression, missing) => {
    expect(refused(made(expression)).missing).toEqual(missing);
  });

  test.each<[string, string]>([
    [
      'its parameters and variables',
      '(a, { b, ...c }, [d] = []) => { var e = a; return [b, c, d, e] }',
    ],
    ['its own name', 'function f(n) { return n <= 1 ? 1 : n * f(n - 1) }'],
    [
      'its own this and arguments',
      'function () { return [this, new.target, arguments, () => this] }',
    ],
    ['globals', '() => [Math, undefined, process, fetch, Buffer, crypto, globalThis, toString]'],
    ['a method with a key that is computed elsewhere', '((k) => ({ [k]() { return 1 } })[k])("m")'],
    ['names that typeof looks at', '() => typeof other'],
    ['names that it does without', "() => typeof window === 'undefined' ? 0 : window.innerWidth"],
    ['what compilers put around functions', '() => __name((x) => x, "f")'],
  ])('are not %s', (_title, expression) => {
    expect(routine.inline(made(expression))).toBeTypeOf('function');
  });

  test('are not the globals of this program, or the variables of a REPL', () => {
    const here = globalThis as { factor?: number };
    here.factor = 3;
    try {
      expect(refused(made('() => factor')).missing).toEqual(['factor']);
    } finally {
      delete here.factor;
    }
  });

  test('a function that calls itself by its variable is told how', () => {
    const error = refused(new Function('const fact = (n) => n * fact(n - 1); return fact')());
    expect(error.missing).toEqual(['fact']);
    expect(error.message).toContain('function fact');
  });

  test.each([
    ['import_math', '() => (0, import_math.add)(1, 2)'],
    ['__vite_ssr_import_0__', '() => (0, __vite_ssr_import_0__.add)(1, 2)'],
    ['math_1', '() => (0, math_1.add)(1, 2)'],
    ['require', "() => require('node:fs')"],
  ])('%s is an import, which belongs into the function', (name, expression) => {
    const error = refused(made(expression));
    expect(error.missing).toEqual([name]);
    expect(error.message).toContain('await import(');
  });

  test('an import of this file', () => {
    const error = refused(() => expectTypeOf(1));
    expect(error.message).toContain('await import(');
    expect(error.message).not.toContain('captures');
  });
});

describe('what is refused beside', () => {
  test.each<[string, string, RegExp]>([
    ['an arrow function with this', '() => this', /'this' around it/],
    [
      'an arrow function with this, deep inside',
      '() => [class { [this] = 1 }]',
      /'this' around it/,
    ],
    [
      'an arrow function with arguments',
      '(function () { return () => arguments })()',
      /'arguments' of/,
    ],
    ['a method with this', '({ x: 1, m() { return () => this.x } }).m', /'this' of its object/],
    ['a method with super', '({ m() { return super.toString() } }).m', /'super'/],
    ['an arrow function with super', '({ m() { return () => super.x } }).m()', /'super'/],
    [
      'an arrow function with new.target',
      '(function () { return () => new.target })()',
      /new\.target/,
    ],
    [
      'a method with private names',
      '(class { #x = 1; get() { return this.#x } }).prototype.get',
      /Private field '#x'/,
    ],
    ['a built-in function', 'Math.max', /built in or bound/],
    ['a bound function', '(() => 1).bind()', /built in or bound/],
    ['a class', 'class A { m() {} }', /it is a class/],
    ['code that strict code must not have', 'function () { with (Math) return abs(1) }', /'with'/],
  ])('%s', (_title, expression, message) => {
    expect(refused(made(expression)).message).toMatch(message);
    expect(refused(made(expression)).missing).toEqual([]);
  });

  test('a function that assigns to what it captures, which would be lost', () => {
    for (const expression of [
      '() => ++count',
      '() => { [count] = [1] }',
      '() => { count ??= 1 }',
    ]) {
      const error = refused(made(expression), { count: 1 });
      expect(error.message).toContain('it assigns to count');
    }
    expect(routine.inline(made('(count) => ++count'), { captures: { count: 1 } })).toBeDefined();
  });

  test('a function that assigns to a name that it does not declare, which capturing would not mend', () => {
    const { message, missing } = refused(made('() => { total = count + rate; count += 1 }'));
    expect(missing).toEqual(['total', 'count', 'rate']);
    expect(message).toContain('{ captures: { rate } }');
    expect(message).toContain('it assigns to total, count, which a worker does not have: declare');
  });

  test('all of it in one message', () => {
    const { message, missing } = refused(made('() => [this, ++count, other]'), { count: 1 });
    for (const part of ["'this'", 'other', 'count']) expect(message).toContain(part);
    expect(missing).toEqual(['other']);
  });

  test('what is no function, a routine, and wrong options', () => {
    const inline = routine.inline as (...args: unknown[]) => unknown;
    const made = routine(async () => 1, { name: 'made' });
    expect(() => inline('x => x')).toThrow(/takes a function, not "x => x"/);
    expect(() => inline(made)).toThrow(/is a routine already/);
    expect(() => inline(inline(() => 1))).toThrow(/is a routine already/);
    expect(() => inline(() => 1, { capture: {} })).toThrow(/no option 'capture'/);
    expect(() => inline(() => 1, { captures: null })).toThrow(/captures must be an object/);
    expect(() => inline(() => 1, { captures: [1] })).toThrow(/captures must be an object/);
    expect(() => inline(() => 1, { captures: new Map() })).toThrow(
      /captures must be an .* not a Map/,
    );
    expect(() => inline(() => 1, { attempts: 2 })).toThrow(/only for routines with idempotent/);
  });
});

describe('as a value', () => {
  test('keeps its name, source and captures, on a second way, too', async () => {
    const one = routine.inline(made('(x) => x * factor'), { captures: { factor: 2 }, name: 'one' });
    const once = decodeValue(encodeValue(one) as Uint8Array);
    const twice = decodeValue(encodeValue(once) as Uint8Array) as typeof one;
    const mailbox = new Mailbox();
    await twice.on(mailbox)(4);
    expect(mailbox.sent).toEqual([['one', '(x) => x * factor', { factor: 2 }, 4]]);
  });

  test('may capture itself', () => {
    const captures: Record<string, unknown> = { self: undefined };
    const self = routine.inline(made('() => self'), { captures });
    captures.self = self;
    const [one, other] = decodeValue(encodeValue([self, self]) as Uint8Array) as unknown[];
    expect(one).toBe(other);
    expect(encodeValue(one)).toEqual(encodeValue(self));
  });

  // [name, source, generator, attempts, captures]
  test.each([
    ['too few parts', '84616161 62f401'],
    ['a name that is no text', '85 01 6162 f4 01 a0'],
    ['a kind that is none', '85 6161 6162 01 01 a0'],
    ['no attempts', '85 6161 6162 f4 00 a0'],
    ['captures that are no map', '85 6161 6162 f4 01 80'],
    [
      'captures that pose as a promise',
      '85 6161 6162 f4 01 a1 647468656e d9eb10 85 6161 6162 f4 01 a0',
    ],
  ])('is refused where it has %s', (_what, hex) => {
    const bytes = Buffer.from(`d9eb10${hex.replaceAll(' ', '')}`, 'hex');
    expect(() => decodeValue(bytes)).toThrow(SerializationError);
  });
});

describe('what is sent', () => {
  test('is the source, what it captures when it is called, and the arguments', async () => {
    const mailbox = new Mailbox();
    const captures = { factor: 1, label: ['a'] };
    const scale = routine.inline(made('(x) => [x * factor, label]'), { captures });
    captures.factor = 2;
    await scale.on(mailbox)(captures.label, 5);
    captures.factor = 3;
    await scale.on(mailbox)();
    const [[name, source, values, ...args], [, , later]] = mailbox.sent as [unknown[], unknown[]];
    expect([name, source]).toEqual(['scale', '(x) => [x * factor, label]']);
    expect(values).toEqual({ factor: 2, label: ['a'] });
    expect(args).toEqual([['a'], 5]);
    expect((values as typeof captures).label).toBe(args[0]);
    expect(later).toMatchObject({ factor: 3 });
  });

  test('is nothing that the function does not use', async () => {
    const mailbox = new Mailbox();
    const captures = {
      used: 1,
      unused: () => {},
      'not a name': 1,
      get never(): unknown {
        throw new Error('it was read');
      },
    };
    await routine.inline(made('() => used'), { captures }).on(mailbox)();
    expect(mailbox.sent).toEqual([['anonymous', '() => used', { used: 1 }]]);
  });

  test('is refused with the path to what cannot travel', async () => {
    const captures = { helper: { run: () => {} } };
    const call = routine.inline(made('(x) => helper'), { captures }).on(new Mailbox());
    const error = await call({}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SerializationError);
    expect(error).toMatchObject({ path: 'captures.helper.run' });
    captures.helper = {} as never;
    await expect(call({ items: [Symbol('x')] })).rejects.toMatchObject({
      path: 'args[0].items[0]',
    });
  });
});

test('the routine is like one of routine(fn)', () => {
  const scale = routine.inline(function scale(x: number, y: number) {
    return x * y;
  });
  expect([scale.name, scale.length, scale.local(3, 4)]).toEqual(['scale', 2, 12]);
  expect(routine.inline((x: number) => x, { name: 'same' }).name).toBe('same');
  expectTypeOf(scale).toEqualTypeOf<Routine<(x: number, y: number) => number>>();
  expectTypeOf(scale).returns.toEqualTypeOf<Promise<number>>();
  const steps = routine.inline(function* (n: number) {
    yield n;
  });
  expectTypeOf(steps.on).returns.toEqualTypeOf<
    Remote<(n: number) => Generator<number, void, unknown>>
  >();
});
