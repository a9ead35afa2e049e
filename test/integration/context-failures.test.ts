/** Values of context variables that can't travel: what the routine gives or throws is not lost for it. */
import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ChainSerializationError,
  ContextVar,
  ContextVarUnset,
  fork,
  SerializationError,
} from '../../src/index.ts';
import { rejection, scratchFolder, until } from './helpers.ts';
import {
  callUnreadable,
  change,
  changeAndThrow,
  changeFrom,
  countBodies,
  declareAndCall,
  declareAndRead,
  Fickle,
  getThere,
  giveUnencodable,
  look,
  make,
  odd,
  other,
  passOn,
  plain,
  resetThere,
  scoped,
  setThere,
  steps,
  takeWarnings,
  workerWarnings,
} from './routines/context-failures.ts';
import { WorkerPool } from './runtime.ts';

const folder = scratchFolder();
let lenient: WorkerPool;
let strict: WorkerPool;
beforeAll(async () => {
  [lenient, strict] = await Promise.all([
    WorkerPool.open({ size: 1 }),
    WorkerPool.open({ size: 1, strict: true }),
  ]);
});
beforeEach(async () => {
  await lenient.run(() => workerWarnings());
  takeWarnings();
});
afterAll(async () => {
  await Promise.all([lenient.close(), strict.close()]);
});

let files = 0;

/** A module whose `value` is the maker's, e.g. an instance of a class that only it has. */
function writeModule(body: string): string {
  files += 1;
  const file = join(folder, `module-${files}.mjs`);
  const index = new URL('../../src/index.ts', import.meta.url).href;
  writeFileSync(
    file,
    `import { registerClass, routine } from ${JSON.stringify(index)};\n${body}\n`,
  );
  return pathToFileURL(file).href;
}

const ROUTINE = 'export const value = routine((x) => x + 1, { name: "added" });';
const CLASS = 'class Kept { a = 1 }\nregisterClass(Kept);\nexport const value = new Kept();';

/** Runs `fn` in a chain of its own, whose calls go to the pool. */
function inChain<T>(pool: WorkerPool, fn: () => Promise<T>): Promise<T> {
  return pool.run(() => fork(fn));
}

async function callerWarnings(): Promise<string[]> {
  await new Promise((resolve) => setImmediate(resolve));
  return takeWarnings();
}

describe('a value that the caller can’t encode', () => {
  test('is left out of the call, with a warning; the others travel', async () => {
    await inChain(lenient, async () => {
      plain.set('sent');
      odd.set(make('function'));
      expect(await look()).toEqual({ plain: 'sent', odd: 'unset', other: 'unset' });
      expect(typeof odd.get()).toBe('function');
    });
    const [warning, ...more] = await callerWarnings();
    expect(more).toEqual([]);
    expect(warning).toContain('failures:odd');
    expect(warning).toContain('a function');
    expect(warning).toMatch(/Set a value that can travel/);
  });

  test('is left out of a step, where the worker had another value', async () => {
    await inChain(lenient, async () => {
      const body = steps();
      odd.set('before');
      expect((await body.next()).value).toMatchObject({ odd: 'before' });
      odd.set(make('encode'));
      plain.set('sent');
      expect((await body.next()).value).toMatchObject({ odd: 'unset', plain: 'sent' });
      odd.set('after');
      expect((await body.next()).value).toMatchObject({ odd: 'after' });
      await body.return('');
      expect(plain.get()).toBe('ended');
    });
    expect(await callerWarnings()).toEqual([expect.stringContaining('encode fails')]);
  });

  test('fails the call where context is strict, before anything is sent', async () => {
    const bodies = await inChain(strict, () => countBodies());
    await inChain(strict, async () => {
      plain.set('sent');
      odd.set(make('function'));
      other.set(make('encode'));
      const error = (await rejection(look())) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect(error.variables).toEqual(['failures:odd', 'failures:other']);
      expect(error.errors.map(String)).toEqual([
        expect.stringContaining('a function'),
        expect.stringContaining('encode fails'),
      ]);
      expect(error.message).toContain('failures:odd');
      expect(error.message).toContain('failures:other');
      expect(error.message.match(/Set a value that can travel/g)).toHaveLength(1);
      odd.set('good');
      other.set('good');
      // The chain is as if the call had not been.
      expect(await change('good')).toBe('result');
      expect(plain.get()).toBe('changed');
    });
    expect(await inChain(strict, () => countBodies())).toBe(bodies);
    expect(await callerWarnings()).toEqual([]);
  });

  test('fails the step where context is strict, and the generator goes on', async () => {
    await inChain(strict, async () => {
      const body = steps();
      plain.set('first');
      await body.next();
      // Another chain asks in vain; the first one goes on as if it had not.
      await fork(async () => {
        plain.set('fork');
        odd.set(make('function'));
        expect(await rejection(body.next('good'))).toBeInstanceOf(ChainSerializationError);
      });
      expect((await body.next()).value).toEqual({ plain: 'first', odd: 'unset', other: 'unset' });
      await body.return('');
      expect(plain.get()).toBe('ended');
    });
  });
});

test('return() ends a generator on the worker, though context is strict and a value can’t be encoded', async () => {
  await inChain(strict, async () => {
    const body = steps();
    await body.next();
    odd.set(make('function'));
    expect(await rejection(body.return(''))).toBeInstanceOf(ChainSerializationError);
    await until(() => expect(strict.stats.calls).toBe(0), 5_000);
    // Held until now: what nobody holds is given up sooner or later.
    expect(await body.next()).toEqual({ value: undefined, done: true });
  });
});

describe('a value that the worker can’t decode', () => {
  test('counts as unset there; the others are', async () => {
    await inChain(lenient, async () => {
      plain.set('sent');
      odd.set(new Fickle('decode'));
      expect(await look()).toEqual({ plain: 'sent', odd: 'unset', other: 'unset' });
      expect(await workerWarnings()).toEqual([
        expect.stringMatching(/failures:odd can't be read here.*decode fails/),
      ]);
      expect(odd.get()).toBeInstanceOf(Fickle);
    });
  });

  test.each([
    ['a class', CLASS],
    ['a routine', ROUTINE],
  ])('of a module that is gone: %s', async (_what, body) => {
    const url = writeModule(body);
    const { value } = (await import(url)) as { value: unknown };
    await rm(new URL(url));
    await inChain(lenient, async () => {
      plain.set('sent');
      odd.set([value]);
      expect(await look()).toEqual({ plain: 'sent', odd: 'unset', other: 'unset' });
      expect(await workerWarnings()).toEqual([
        expect.stringMatching(/failures:odd can't be read here.*does not load/),
      ]);
      expect(odd.get()).toEqual([value]);
    });
  });

  test('in a step: not the value of the step before', async () => {
    await inChain(lenient, async () => {
      const body = steps();
      odd.set('before');
      await body.next();
      odd.set(new Fickle('decode'));
      expect((await body.next()).value).toMatchObject({ odd: 'unset' });
      // The worker has changed nothing: here it is as it was.
      expect(odd.get()).toBeInstanceOf(Fickle);
      await body.return('');
    });
  });

  test('fails the task where context is strict, before its body runs', async () => {
    const url = writeModule(CLASS);
    const { value } = (await import(url)) as { value: unknown };
    await rm(new URL(url));
    await inChain(strict, async () => {
      const bodies = await countBodies();
      plain.set('sent');
      const token = odd.set(value);
      other.set(new Fickle('decode'));
      const error = (await rejection(look(token))) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect([...error.variables].sort()).toEqual(['failures:odd', 'failures:other']);
      expect(error.errors.every((each) => each instanceof SerializationError)).toBe(true);
      expect(error.message).toContain('does not load');
      expect(error.message).toContain('decode fails');
      // The body never began: what the call had is free again.
      odd.reset(token);
      other.set('good');
      expect(await countBodies()).toBe(bodies);
      expect(plain.get()).toBe('sent');
    });
  });

  test('ends a generator where context is strict, and the caller keeps its values', async () => {
    await inChain(strict, async () => {
      const body = steps();
      plain.set('sent');
      await body.next();
      await fork(async () => {
        other.set('forked');
        odd.set(new Fickle('decode'));
        expect(await rejection(body.next())).toBeInstanceOf(ChainSerializationError);
        expect(other.get()).toBe('forked');
        expect(plain.get()).toBe('sent');
        expect(odd.get()).toBeInstanceOf(Fickle);
      });
      expect(await body.next()).toEqual({ value: undefined, done: true });
    });
  });
});

describe('a value that the worker can’t encode', () => {
  test('does not come back with a result; the others do', async () => {
    await inChain(lenient, async () => {
      odd.set('before');
      expect(await change('function')).toBe('result');
      expect(plain.get()).toBe('changed');
      expect(odd.get()).toBe('before');
      expect(await workerWarnings()).toEqual([
        expect.stringMatching(/failures:odd can't be sent back.*a function/),
      ]);
    });
  });

  test('nor with a yielded value, and the generator goes on', async () => {
    await inChain(lenient, async () => {
      const body = steps();
      await body.next();
      expect(await body.next('encode')).toMatchObject({ done: false });
      expect(plain.get()).toBe('changed for encode');
      expect(odd.get('unset')).toBe('unset');
      expect(await body.next('good')).toMatchObject({ done: false });
      expect(odd.get()).toBe('good');
      await body.return('');
    });
  });

  test('nor with an error, which is the routine’s own', async () => {
    await inChain(lenient, async () => {
      const error = (await rejection(changeAndThrow('encode'))) as Error;
      expect(error).toBeInstanceOf(RangeError);
      expect(error.message).toBe('its own');
      expect(plain.get()).toBe('changed');
      expect(odd.get('unset')).toBe('unset');
    });
  });

  test('a result that can’t be encoded fails as ever, and the changes come back', async () => {
    await inChain(lenient, async () => {
      const error = (await rejection(giveUnencodable('function'))) as SerializationError;
      expect(error).toBeInstanceOf(SerializationError);
      expect(error.path).toBe('result');
      expect(plain.get()).toBe('changed');
    });
  });

  test('where context is strict, a result becomes one error; the other values come back', async () => {
    await inChain(strict, async () => {
      const error = (await rejection(change('function', 'encode'))) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect(error.variables).toEqual(['failures:odd', 'failures:other']);
      expect(error.errors.map(({ message }) => message)).toEqual([
        expect.stringContaining('a function'),
        expect.stringContaining('encode fails'),
      ]);
      expect(error.cause).toBeUndefined();
      expect(plain.get()).toBe('changed');
      expect(await look()).toMatchObject({ plain: 'changed', odd: 'unset' });
    });
  });

  test('and a yielded value, which ends the generator', async () => {
    await inChain(strict, async () => {
      const body = steps();
      await body.next();
      expect(await rejection(body.next('encode'))).toBeInstanceOf(ChainSerializationError);
      expect(plain.get()).toBe('changed for encode');
      expect(await body.next()).toEqual({ value: undefined, done: true });
    });
  });

  test('and of an error it is what the routine threw that is the cause', async () => {
    await inChain(strict, async () => {
      const token = other.set('x');
      const error = (await rejection(changeAndThrow('encode', token))) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect(error.variables).toEqual(['failures:odd']);
      expect(error.cause).toBeInstanceOf(RangeError);
      expect((error.cause as Error).message).toBe('its own');
      expect((error.cause as { property?: unknown }).property).toBe(token);
      expect(plain.get()).toBe('changed');
    });
  });

  test('a result that can’t be encoded is the cause, too', async () => {
    await inChain(strict, async () => {
      const error = (await rejection(giveUnencodable('encode'))) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect(error.cause).toBeInstanceOf(SerializationError);
      expect((error.cause as SerializationError).path).toBe('result');
    });
  });
});

describe('a value that the caller can’t decode', () => {
  test('leaves the result, and what the variable had', async () => {
    await inChain(lenient, async () => {
      odd.set('before');
      expect(await change('decode')).toBe('result');
      expect(plain.get()).toBe('changed');
      expect(odd.get()).toBe('before');
      expect(await callerWarnings()).toEqual([
        expect.stringMatching(/failures:odd can't be read here.*keeps.*decode fails/),
      ]);
      // The next call takes along what this side has.
      expect(await look()).toMatchObject({ plain: 'changed', odd: 'before' });
    });
  });

  test('in a step: the body sees what its consumer has', async () => {
    await inChain(lenient, async () => {
      const body = steps();
      odd.set('before');
      await body.next();
      // The value is yielded before the caller tries to read what came with it.
      expect((await body.next('decode')).done).toBe(false);
      expect(odd.get()).toBe('before');
      expect((await body.next()).value).toMatchObject({ odd: 'before' });
      await body.return('');
    });
  });

  test('leaves the error that the routine threw', async () => {
    await inChain(lenient, async () => {
      const error = (await rejection(changeAndThrow('decode'))) as Error;
      expect(error).toBeInstanceOf(RangeError);
      expect(plain.get()).toBe('changed');
      expect(odd.get('unset')).toBe('unset');
    });
  });

  test.each([
    ['class', CLASS],
    ['routine', ROUTINE],
  ])('its %s is of a module that is gone', async (_what, body) => {
    await inChain(lenient, async () => {
      expect(await changeFrom(writeModule(body), true)).toBe('result');
      expect(plain.get()).toBe('changed');
      expect(odd.get('unset')).toBe('unset');
      expect((await callerWarnings()).join()).toContain('does not load');
    });
  });

  test('where context is strict, it takes the place of the result; the other values are here', async () => {
    await inChain(strict, async () => {
      const error = (await rejection(change('decode'))) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect(error.variables).toEqual(['failures:odd']);
      expect(plain.get()).toBe('changed');
    });
  });

  test('and of an error that the routine threw it is the cause', async () => {
    await inChain(strict, async () => {
      const error = (await rejection(changeAndThrow('decode'))) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect(error.cause).toBeInstanceOf(RangeError);
      expect(plain.get()).toBe('changed');
    });
  });

  test('what a call brings that was overtaken goes nowhere, and so fails nothing', async () => {
    await inChain(strict, async () => {
      const results = await Promise.all([change('decode'), change('good')]);
      expect(results).toEqual(['result', 'result']);
      expect(plain.get('unset')).toBe('unset');
    });
  });
});

test('a token in arguments that can’t be read is free again, also where a worker called itself', async () => {
  expect(await lenient.run(() => callUnreadable())).toContain('decode fails');
  await inChain(lenient, async () => {
    const token = odd.set('now');
    expect(await rejection(look(token, new Fickle('decode')))).toBeInstanceOf(SerializationError);
    odd.reset(token);
  });
});

describe('a value that names a module', () => {
  test.each([
    ['class', CLASS],
    ['routine', ROUTINE],
  ])('loads it on the worker: a %s', async (_what, body) => {
    const { value } = (await import(writeModule(body))) as { value: unknown };
    await inChain(lenient, async () => {
      odd.set(value);
      expect(await look()).toMatchObject({ odd: value });
      expect(await workerWarnings()).toEqual([]);
    });
  });

  test.each([
    ['class', CLASS],
    ['routine', ROUTINE],
  ])('and at the caller: a %s', async (_what, body) => {
    const url = writeModule(body);
    await inChain(lenient, async () => {
      expect(await changeFrom(url, false)).toBe('result');
      const { value } = (await import(url)) as { value: unknown };
      expect(odd.get()).toEqual(value);
    });
    expect(await callerWarnings()).toEqual([]);
  });
});

describe('a value of a variable that the worker has not declared', () => {
  test('waits, is passed on unharmed, and comes back', async () => {
    await inChain(lenient, async () => {
      const mine = new ContextVar<unknown>('passed-on', { namespace: 'failures' });
      const value = { deep: [new Fickle('good'), new Map([[1, 2n]])] };
      const token = odd.set('with a token');
      mine.set({ value, token });
      plain.set('sent');
      expect(await passOn()).toMatchObject({ plain: 'sent' });
      expect(mine.get()).toEqual({ value, token });
      expect((mine.get() as { token: unknown }).token).toBe(token);
      odd.reset(token);
    });
  });

  test('also where nobody there could read it', async () => {
    await inChain(strict, async () => {
      const mine = new ContextVar<unknown>('passed-unread', { namespace: 'failures' });
      mine.set(new Fickle('decode'));
      expect(await passOn()).toMatchObject({ plain: 'unset' });
      expect(mine.get()).toEqual(new Fickle('decode'));
    });
  });

  test('is read when it is declared', async () => {
    await inChain(lenient, async () => {
      const mine = new ContextVar<unknown>('read-late', { namespace: 'failures' });
      mine.set({ a: [1, new Fickle('good')] });
      const read = { a: [1, new Fickle('good')] };
      expect(await declareAndRead('read-late')).toEqual([read, read, read]);
    });
  });

  test('counts as unset where it can’t be read then, with one warning', async () => {
    await inChain(lenient, async () => {
      const mine = new ContextVar<unknown>('unread-late', { namespace: 'failures' });
      mine.set(new Fickle('decode'));
      expect(await declareAndRead('unread-late')).toEqual(['default', 'default', 'other']);
    });
    expect(await lenient.run(() => workerWarnings())).toEqual([
      expect.stringMatching(/failures:unread-late can't be read here, and counts as not set/),
    ]);
  });

  test('or where it names what is not loaded by then', async () => {
    const { value } = (await import(writeModule(ROUTINE))) as { value: unknown };
    await inChain(lenient, async () => {
      const mine = new ContextVar<unknown>('unloaded-late', { namespace: 'failures' });
      mine.set({ call: value });
      expect(await declareAndCall('unloaded-late')).toBeUndefined();
      const [warning] = await workerWarnings();
      expect(warning).toContain('is not known here');
      expect(warning).toContain('Import what the value is made of');
      // Now that it is declared, its values are read before the task begins.
      expect(await declareAndCall('unloaded-late')).toBe(21);
    });
  });
});

describe('a value that the worker has not got', () => {
  test.each(['function', 'encode'])(
    'is here again when the worker takes its own back: %s',
    async (kind) => {
      await inChain(lenient, async () => {
        const own = make(kind);
        odd.set(own);
        for await (const value of scoped('there')) {
          expect([value, odd.get()]).toEqual(['there', 'there']);
        }
        expect(odd.get('unset')).toBe(own);
        const token = await setThere('there');
        expect([odd.get(), token.wasSet, token.oldValue]).toEqual(['there', true, own]);
        odd.reset(token);
        expect(odd.get('unset')).toBe(own);
      });
    },
  );

  test('also where the caller sets it between the steps', async () => {
    await inChain(lenient, async () => {
      const own = make('function');
      odd.set(own);
      for await (const _ of scoped('there')) odd.set('meanwhile');
      expect(odd.get('unset')).toBe(own);
    });
  });

  test('but not where its own token is used there', async () => {
    await inChain(lenient, async () => {
      const token = odd.set(make('function'));
      expect(await resetThere(token)).toMatchObject({ wasSet: false, error: undefined });
      expect([odd.get('unset'), token.used]).toEqual(['unset', true]);
    });
  });

  test('nor where it was reset here meanwhile', async () => {
    await inChain(lenient, async () => {
      const token = odd.set(make('function'));
      const body = steps();
      await body.next();
      odd.reset(token);
      await body.next('good');
      expect(odd.get()).toBe('good');
      await body.return('');
      for await (const _ of scoped('there'));
      expect(odd.get()).toBe('good');
    });
  });

  test('comes back where only the worker can’t read it', async () => {
    const url = writeModule(CLASS);
    const { value } = (await import(url)) as { value: unknown };
    await rm(new URL(url));
    await inChain(lenient, async () => {
      odd.set(value);
      for await (const _ of scoped('there'));
      expect(odd.get('unset')).toEqual(value);
      const token = await setThere('there');
      expect(token.oldValue).toEqual(value);
      odd.reset(token);
      expect(odd.get('unset')).toEqual(value);
    });
  });
});

test('a variable that the worker has not declared has no default there, and an error says so', async () => {
  const here = new ContextVar('only here', { default: 'x' });
  const error = await rejection(lenient.run(() => getThere(here)));
  expect(error).toBeInstanceOf(ContextVarUnset);
  expect(String(error)).toMatch(/only here .*has not declared it: import the module that does/);
});

describe('the old value of a token', () => {
  test('that can’t be encoded stays: the token can’t be used there, and comes back as it was', async () => {
    await inChain(lenient, async () => {
      const before = make('function');
      odd.set(before);
      const token = odd.set('now');
      const there = await resetThere(token);
      expect(there).toMatchObject({ wasSet: true, used: false });
      expect(there.oldValue).toContain('could not travel');
      expect(there.error).toMatch(/TokenChainError.*could not travel/);
      odd.reset(token);
      expect(odd.get()).toBe(before);
    });
    expect(await callerWarnings()).toEqual([
      expect.stringMatching(/failures:odd can't be sent as the old value of a token/),
    ]);
  });

  test('fails the call where context is strict', async () => {
    await inChain(strict, async () => {
      odd.set(make('function'));
      const token = odd.set('now');
      const error = (await rejection(look(token))) as ChainSerializationError;
      expect(error).toBeInstanceOf(ChainSerializationError);
      expect(error.variables).toEqual(['failures:odd']);
      odd.reset(token);
    });
  });
});

describe('code of a value that runs while it is encoded', () => {
  test('may set variables', async () => {
    await inChain(lenient, async () => {
      let count = 0;
      odd.set({
        get a() {
          count += 1;
          plain.set(`set by a getter ${count}`);
          return 1;
        },
      });
      expect(await look()).toMatchObject({ odd: { a: 1 } });
      expect(plain.get()).toBe('set by a getter 1');
      expect(await look()).toMatchObject({ plain: 'set by a getter 1' });
    });
  });

  test('may call routines, which go without the value', async () => {
    await inChain(lenient, async () => {
      const calls: Promise<unknown>[] = [];
      odd.set({
        get a() {
          calls.push(look());
          return 1;
        },
      });
      plain.set('sent');
      expect(await look()).toMatchObject({ odd: { a: 1 }, plain: 'sent' });
      expect(await Promise.all(calls)).toEqual([{ plain: 'sent', odd: 'unset', other: 'unset' }]);
      // Nothing is out any more.
      odd.set('plain');
      expect(await change('good')).toBe('result');
      expect(odd.get()).toBe('good');
    });
  });
});

describe('more than 10,000', () => {
  test('variables are too many: the others travel', async () => {
    await inChain(lenient, async () => {
      plain.set('sent');
      for (let i = 0; i < 10_000; i += 1) {
        new ContextVar<number>(`many-${i}`, { namespace: 'failures' }).set(i);
      }
      expect(await look()).toMatchObject({ plain: 'unset' });
      expect(plain.get()).toBe('sent');
    });
    expect(await callerWarnings()).toEqual([
      expect.stringMatching(/failures:plain can't be sent.*at most 10000 variables/),
    ]);
  });

  test('tokens in the arguments fail the call', async () => {
    await inChain(lenient, async () => {
      const tokens = Array.from({ length: 10_001 }, (_, i) => odd.set(i));
      const error = (await rejection(look(...tokens))) as SerializationError;
      expect(error).toBeInstanceOf(SerializationError);
      expect(error.path).toBe('args[10000]');
      expect(error.message).toContain('at most 10,000 cross at a time');
      expect(await look(...tokens.slice(1))).toMatchObject({ odd: 10_000 });
      odd.reset(tokens[0] as (typeof tokens)[number]);
    });
  });

  test('tokens in a value keep that value here', async () => {
    await inChain(lenient, async () => {
      const tokens = Array.from({ length: 10_001 }, (_, i) => odd.set(i));
      plain.set(tokens);
      expect(await look(tokens[0])).toMatchObject({ plain: 'unset', odd: 10_000 });
      // Those of the value did not go with the call, and so are free.
      const call = look(tokens[0]);
      odd.reset(tokens[1] as (typeof tokens)[number]);
      await call;
    });
    expect((await callerWarnings()).join()).toContain('failures:plain');
  });
});

describe('SKEIN_CONTEXT', () => {
  const before = process.env.SKEIN_CONTEXT;
  const set = (value: string | undefined) => {
    if (value === undefined) delete process.env.SKEIN_CONTEXT;
    else process.env.SKEIN_CONTEXT = value;
  };
  beforeEach(() => () => set(before));

  test('makes pools and their workers strict', async () => {
    set('strict');
    await using pool = await WorkerPool.open({ size: 1 });
    await inChain(pool, async () => {
      expect(await rejection(change('encode'))).toBeInstanceOf(ChainSerializationError);
      odd.set(make('function'));
      expect(await rejection(look())).toBeInstanceOf(ChainSerializationError);
    });
  });

  test('makes the workers strict, whatever their pool is', async () => {
    set('strict');
    await using pool = await WorkerPool.open({ size: 1, strict: false });
    set(undefined);
    await inChain(pool, async () => {
      expect(await rejection(change('encode'))).toBeInstanceOf(ChainSerializationError);
      odd.set(make('function'));
      expect(await look()).toMatchObject({ odd: 'unset' });
    });
  });

  test('with another value no pool is opened', async () => {
    set('stirct');
    const error = await rejection(WorkerPool.open({ size: 1 }));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain('SKEIN_CONTEXT is "stirct": it can be \'strict\'');
  });
});

test('nothing of a strict failure stays in the pool', async () => {
  await until(() => {
    for (const pool of [lenient, strict]) {
      expect(pool.stats).toMatchObject({ calls: 0, waiting: 0, deadlines: 0 });
    }
  });
});
