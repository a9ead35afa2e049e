/** Functions by value, on a real worker. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InlineNotAllowed, type Routine, RoutineNotFound, routine } from '../../src/index.ts';
import { dispatcherOf } from '../../src/routine/dispatcher.ts';
import { decode } from '../../src/routine/outcome.ts';
import { encodeArgs } from '../../src/wire/value.ts';
import { moduleUrl, ROOT, rejection, runScript, TSX, TYPESCRIPT } from './helpers.ts';
import { add } from './routines/math.ts';
import { Stamp } from './routines/stamp.ts';
import { pid } from './routines/tasks.ts';
import { WorkerPool } from './runtime.ts';

type Any = (...args: unknown[]) => unknown;

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1, allowInline: true });
});
afterAll(() => pool.close());

/** What an expression gives. It is evaluated here so that no compiler changes its functions. */
function made(expression: string): Any {
  return new Function(`return (${expression})`)() as Any;
}

describe('a function by value', () => {
  test('runs on the worker, with the values that it captures', async () => {
    const factor = 3;
    const scale = routine.inline((x: number) => [x * factor, process.pid], {
      captures: { factor },
    });
    expect(await scale(14)).toEqual([42, pool.workers[0]?.pid]);
  });

  test.each<[string, string, unknown[], unknown]>([
    ['an arrow function', '(x) => x + 1', [1], 2],
    ['one that gives an object', '(x) => ({ x })', [1], { x: 1 }],
    ['an async arrow function', 'async x => await x', [1], 1],
    ['a function', 'function (x) { return x + 1 }', [1], 2],
    ['a recursive function', 'function f(n) { return n <= 1 ? 1 : n * f(n - 1) }', [5], 120],
    [
      'a function with defaults',
      '({ a = 1, ...b } = {}, [c] = [2], ...d) => [a, b, c, d]',
      [],
      [1, {}, 2, []],
    ],
    ['a method', '({ m(x) { return x + 1 } }).m', [1], 2],
    ['an async method', '({ async m(x) { return x + 1 } }).m', [1], 2],
    ['a method with an odd name', "({ 'a-b'(x) { return x + 1 } })['a-b']", [1], 2],
    [
      'a method with a symbol for its key',
      '({ [Symbol.iterator](x) { return x + 1 } })[Symbol.iterator]',
      [1],
      2,
    ],
    ['a method called get', '({ get(x) { return x + 1 } }).get', [1], 2],
    ['a method called async', '({ async(x) { return x + 1 } }).async', [1], 2],
    ['a method called __proto__', '({ ["__proto__"](x) { return x + 1 } }).__proto__', [1], 2],
    ['a getter', "Object.getOwnPropertyDescriptor({ get p() { return 1 } }, 'p').get", [], 1],
    ['a static method', '(class { static m(x) { return x + 1 } }).m', [1], 2],
    ['a private method', '(class { #m(x) { return x + 1 } static f = new this().#m }).f', [1], 2],
    ['a field', '(class { static f = (x) => x + 1 }).f', [1], 2],
    [
      'a function with a class in it',
      '() => new (class { #x = 1; get() { return this.#x } })().get()',
      [],
      1,
    ],
    [
      'a function with this and arguments',
      'function () { return [this, arguments.length] }',
      [1],
      [undefined, 1],
    ],
    ['a function of several lines', '(x) => {\n // one\n return x + 1\n}', [1], 2],
    ['made by Function', "new Function('x', 'return x + 1')", [1], 2],
  ])('is %s', async (_title, expression, args, result) => {
    expect(await routine.inline(made(expression))(...args)).toEqual(result);
  });

  test('is a generator, sync or async, or a method', async () => {
    const base = 10;
    const sums = routine.inline(
      async function* (n: number): AsyncGenerator<number, string, number> {
        let sum = base;
        for (let i = 0; i < n; i += 1) sum += yield sum;
        return `in all ${sum}`;
      },
      { captures: { base } },
    )(2);
    expect(await sums.next()).toEqual({ value: 10, done: false });
    expect(await sums.next(1)).toEqual({ value: 11, done: false });
    expect(await sums.next(2)).toEqual({ value: 'in all 13', done: true });
    for (const expression of ['function* (n) { yield n }', '({ *m(n) { yield n } }).m']) {
      const steps = routine.inline(made(expression))(7) as unknown as AsyncGenerator;
      for await (const step of steps) expect(step).toBe(7);
    }
  });

  test('shares what it captures with its arguments', async () => {
    const shared = { a: 1 };
    const same = routine.inline((x: object) => x === shared, { captures: { shared } });
    expect(await same(shared)).toBe(true);
    expect(await same({ a: 1 })).toBe(false);
  });

  test('has its own captures in each call, though its source is compiled once', async () => {
    const calls = Array.from({ length: 300 }, (_, i) =>
      routine.inline((x: number) => x + i, { captures: { i } })(1_000),
    );
    expect(await Promise.all(calls)).toEqual(calls.map((_, i) => 1_000 + i));
  });

  test('is one of more than the worker keeps', async () => {
    for (let round = 0; round < 2; round += 1) {
      const calls = Array.from({ length: 250 }, (_, i) => routine.inline(made(`() => ${i}`))());
      expect(await Promise.all(calls)).toEqual(calls.map((_, i) => i));
    }
    const long = made(`() => '${'x'.repeat(100_000)}'.length`);
    expect(await routine.inline(long)()).toBe(100_000);
  });

  test('calls a routine that it captures', async () => {
    const twice = routine.inline(made('async (x) => (await add(x, x)) * 2'), { captures: { add } });
    expect(await twice(4)).toBe(16);
  });

  test('makes instances of a class that it captures', async () => {
    const make = routine.inline(made('(when) => new Stamp(when + more)'), {
      captures: { Stamp, more: '!' },
    });
    const stamp = await make('now');
    expect(stamp).toBeInstanceOf(Stamp);
    expect(String(stamp)).toBe('stamped now!');
  });

  test('calls another one that it captures or is given, which takes its captures along', async () => {
    const inner = routine.inline(made('async (x) => x + base'), { captures: { base: 10 } });
    const steps = routine.inline(made('function* (n) { for (let i = 0; i < n; i += 1) yield i }'));
    const outer = routine.inline(
      made(
        'async (x, given) => { let sum = await inner(x) + await given(x); for await (const i of steps(x)) sum += i; return [sum, inner === given] }',
      ),
      { captures: { inner, steps } },
    );
    expect(await outer(3, inner)).toEqual([29, true]);
  });

  test('calls itself by what it captures', async () => {
    const captures: Record<string, unknown> = { fact: undefined };
    const fact = routine.inline(made('async (n) => n <= 1 ? 1 : n * await fact(n - 1)'), {
      captures,
    });
    captures.fact = fact;
    expect(await fact(5)).toBe(120);
  });

  test('is a result, and can be called where it arrives', async () => {
    const echo = routine.inline(made('(x) => [x, x]'));
    const add3 = routine.inline(made('async (x) => x + n'), { captures: { n: 3 }, name: 'add3' });
    const [one, other] = (await echo(add3)) as [Routine<Any>, Routine<Any>];
    expect(one).toBe(other);
    expect([one.name, await one(4), await one.with({ timeout: 9_000 })(5)]).toEqual(['add3', 7, 8]);
    expect(() => one.local(1)).toThrow("'add3' came by its source, and runs on workers only");
  });

  test('takes the place of what it captures that cannot travel, in a path', async () => {
    const inner = routine.inline(made('() => [f]'), { captures: { f: { g: () => 1 } } });
    const outer = routine.inline(made('() => inner()'), { captures: { inner } });
    expect(await rejection(outer())).toMatchObject({ path: 'captures.inner.captures.f.g' });
  });

  test('imports what Node has, packages, and files from the current folder', async () => {
    const builtIn = routine.inline(made("async () => (await import('node:path')).posix.sep"));
    expect(await builtIn()).toBe('/');
    const installed = routine.inline(
      made("async () => typeof (await import('xstate')).createActor"),
    );
    expect(await installed()).toBe('function');
    const file = routine.inline(
      made("async () => (await import('./package.json', { with: { type: 'json' } })).default.name"),
    );
    expect(await file()).toBe('skein');
  });

  test('has no variable of the worker’s own', async () => {
    const seen = routine.inline(
      made('() => [typeof source, typeof captures, typeof scope, typeof require]'),
    );
    expect(await seen()).toEqual(Array.from({ length: 4 }, () => 'undefined'));
  });

  test('fails with what it throws, and its own lines in the stack', async () => {
    const fails = routine.inline(
      made('function boom(x) {\n  throw new RangeError(`no $' + '{x}`)\n}'),
    );
    const error = (await rejection(fails(1))) as Error;
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe('no 1');
    expect(error.stack).toMatch(
      /^RangeError: no 1\n {4}at boom \(skein-inline\/boom:2:9\)\n {4}at boom \(worker /,
    );
    expect(error.stack).toContain('inline.test.ts');
    const named = routine.inline(made('() => { throw new Error() }'), { name: 'my name' });
    const { stack } = (await rejection(named())) as Error;
    expect(stack).toContain('skein-inline/my%20name:1:15');
    expect(stack).toContain('at my name (worker ');
  });

  test('goes by its name in what the runtime says of it', async () => {
    await using own = await WorkerPool.open({ size: 1, allowInline: true });
    const named = routine.inline(made('() => new Promise(() => {})'), { name: 'my job' });
    expect(String(await rejection(named.with({ pool: own, timeout: 50 })()))).toContain(
      "the call of 'my job' did not end within 50 ms",
    );
    const ends = routine.inline(made('() => process.exit(1)'));
    expect(ends.name).toBe('ends');
    expect(String(await rejection(ends.on(own)()))).toContain('while it had a task of ends: ');
  });
});

describe('a worker that does not allow them', () => {
  test('refuses functions and generators, and goes on', async () => {
    await using strict = await WorkerPool.open({ size: 1 });
    const error = (await rejection(routine.inline(() => 1).on(strict)())) as InlineNotAllowed;
    expect(error).toBeInstanceOf(InlineNotAllowed);
    expect(error.code).toBe('INLINE_NOT_ALLOWED');
    expect(error.message).toContain('allowInline: true');
    const steps = routine.inline(function* () {}).on(strict)();
    expect(await rejection(steps.next())).toBeInstanceOf(InlineNotAllowed);
    expect(await pid.on(strict)()).toBe(strict.workers[0]?.pid);
  });

  test('says false where the option is no boolean', async () => {
    const options = { size: 1, allowInline: 'yes' as never };
    await expect(WorkerPool.open(options)).rejects.toThrow('allowInline must be true or false');
  });
});

describe('what no caller of this package sends', () => {
  async function send(args: unknown[], name = 'function'): Promise<unknown> {
    const module = 'skein:inline';
    const request = {
      routine: { module, name, key: `${module}#${name}` },
      generator: name === 'generator',
      attempts: 1,
      timeoutMs: undefined,
      tag: '',
      caller: '',
      signal: undefined,
    };
    return decode(await pool[dispatcherOf].call(request, encodeArgs(['raw', ...args])));
  }

  test.each<[string, unknown[], RegExp]>([
    ['is no code', ['(x) => {{', {}], /^SyntaxError: /],
    ['is more than an expression', ['1); process.exit(', {}], /^TypeError: .*gave none/],
    ['is no function', ['42', {}], /^TypeError: .*gave none/],
    ['is no text', [42, {}], /^SerializationError: /],
    ['has no captures', ['() => 1'], /^SerializationError: /],
    ['captures what is no name', ['() => 1', { 'a b': 1 }], /^SyntaxError: /],
    [
      'throws while it is made',
      ['(() => { throw new RangeError("early") })()', {}],
      /^RangeError: early/,
    ],
  ])('fails alone: a source that %s', async (_title, args, message) => {
    expect(String(await rejection(send(args)))).toMatch(message);
    expect(await send(['(x) => x + 1', {}, 1])).toBe(2);
    expect(await pid()).toBe(pool.workers[0]?.pid);
  });

  test('is of a kind that there is not', async () => {
    expect(await rejection(send(['() => 1', {}], 'class'))).toBeInstanceOf(RoutineNotFound);
  });
});

describe('where there is no module', () => {
  const index = moduleUrl('../src/index.ts');
  const program = `import('${index}').then(async ({ routine, WorkerPool }) => {
    const pool = await WorkerPool.open({ size: 1, allowInline: true });
    const scale = routine.inline((x) => x * factor, { captures: { factor } });
    console.log('result', await scale(14));
    try { routine.inline((x) => fs.readFileSync(x) + rate + factor); }
    catch (error) { console.log('missing', ...error.missing); }
    await pool.close();
  })`.replaceAll(/\n +/g, ' ');
  const variables = 'const factor = 3; var rate = 2;';
  test.each<[string, string[], string?]>([
    ['--eval of a module', ['--input-type=module', '--eval', `${variables} ${program}`]],
    ['--eval of a script', ['--eval', `${variables} ${program}`]],
    ['a REPL', ['--interactive'], `${variables}\nawait ${program}\n`],
  ])('%s', (_title, args, input) => {
    const options = [...TYPESCRIPT, ...args];
    const { stdout, stderr } = spawnSync(process.execPath, options, { input, encoding: 'utf8' });
    expect(stdout + stderr).toContain('result 42');
    expect(stdout + stderr).toContain('missing fs rate factor');
  });

  test('tsx puts its helper for names into the source, and Node warns of nothing', async () => {
    const script = runScript(join(ROOT, 'test/fixtures/inline.ts'), [], { loader: TSX });
    expect(await script.ended).toBe(0);
    expect(script.stdout()).toContain('inner Named steps 42 /');
    expect(script.stdout()).toContain("InlineFunctionError: 'anonymous' can't be sent");
    expect(script.stderr()).toBe('');
  });
});
