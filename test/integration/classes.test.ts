import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SerializationError } from '../../src/index.ts';
import { rejection } from './helpers.ts';
import {
  Account,
  area,
  Circle,
  circles,
  Declined,
  deposit,
  describe,
  fail,
  failBadly,
  grow,
  make,
  makeLocal,
  same,
  stamp,
  throwStamped,
  Unknown,
  withdraw,
} from './routines/shapes.ts';
import { WorkerPool } from './runtime.ts';

let pool: WorkerPool;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-classes-'));
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true });
});

test('an instance arrives as an instance, there and back', async () => {
  expect(await area(new Circle(1))).toEqual([true, Math.PI]);
  const grown = await grow(new Circle(1));
  expect(grown).toBeInstanceOf(Circle);
  expect(grown.area()).toBe(4 * Math.PI);
});

test('private fields travel by encode and decode', async () => {
  const account = new Account(10);
  const after = await deposit(account, 5);
  expect(after).toBeInstanceOf(Account);
  expect([account.balance, after.balance]).toEqual([10, 15]);
});

test('an instance in two arguments is one on the worker', async () => {
  const circle = new Circle(1);
  expect(await same(circle, { circle })).toBe(true);
  expect(await same(circle, { circle: new Circle(1) })).toBe(false);
});

test('an error of a registered class arrives as one, with what it holds', async () => {
  const error = (await rejection(withdraw(new Account(3)))) as Declined;
  expect(error).toBeInstanceOf(Declined);
  expect(error.account).toBeInstanceOf(Account);
  expect([error.message, error.account.balance]).toEqual(['not enough: 3', 3]);
  expect(error.stack).toContain('shapes.ts');
});

test('an error of another class arrives as the built-in below it, with name and code', async () => {
  const error = (await rejection(fail())) as Unknown;
  expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
  expect(error).not.toBeInstanceOf(Unknown);
  expect([error.name, error.message, error.code]).toEqual(['Unknown', 'what is it', 'E_UNKNOWN']);
});

test('an error arrives though its class fails to encode or decode it, and the caller is warned', async () => {
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  const unencoded = await rejection(failBadly('encode', false));
  const undecoded = await rejection(failBadly('decode', false));
  for (const error of [unencoded, undecoded] as Error[]) {
    expect(Object.getPrototypeOf(error)).toBe(RangeError.prototype);
    expect(error).toMatchObject({ message: 'bad', cause: 'why' });
    expect(error.stack).toContain('failBadly (worker');
  }
  expect(unencoded).toMatchObject({
    status: 400,
    '[not sent]': expect.stringContaining('encode().request: a function cannot travel'),
  });
  expect(undecoded).toMatchObject({ '[not read]': { content: { message: 'bad' } } });
  expect(await warned).toMatchObject({ code: 'SKEIN_CLASS_DECODE' });
});

test('a result that is such an error fails the call', async () => {
  const unencoded = await rejection(failBadly('encode', true));
  expect(unencoded).toMatchObject({ code: 'SERIALIZATION', path: 'result.encode().request' });
  const undecoded = await rejection(failBadly('decode', true));
  expect(undecoded).toMatchObject({ code: 'SERIALIZATION', cause: new Error('no request: bad') });
});

test('a class travels by its name', async () => {
  const made = await make(Circle);
  expect(made).toEqual(new Circle(3));
});

test('a class is known to the caller when an instance is returned, though its module was not loaded', async () => {
  expect(String(await stamp())).toBe('stamped now');
});

test('also when an error of it is thrown', async () => {
  const error = await rejection(throwStamped());
  expect(error).toMatchObject({ message: 'late', stamped: true });
  expect((error as Error).constructor.name).toBe('StampedError');
});

test('instances are yielded, given to next, and returned', async () => {
  const steps = circles();
  expect((await steps.next()).value).toEqual(new Circle(1));
  expect((await steps.next(new Circle(5))).value).toEqual(new Circle(6));
  const last = await steps.next(new Circle(7));
  expect(last.done).toBe(true);
  expect(last.value).toBeInstanceOf(Circle);
});

test('a worker loads the module of a class that it has not seen', async () => {
  const index = new URL('../../src/index.ts', import.meta.url).href;
  const file = join(folder, 'later.mjs');
  const text = `
    import { registerClass } from ${JSON.stringify(index)};
    export class Later { toString() { return 'later'; } }
    registerClass(Later);`;
  await writeFile(file, text);
  const { Later } = (await import(pathToFileURL(file).href)) as { Later: new () => object };
  expect(await describe(new Later())).toBe('Later later');
});

test('a class that only its caller makes fails the call, and says why; the worker lives on', async () => {
  const error = await rejection(describe(makeLocal()));
  expect(error).toBeInstanceOf(SerializationError);
  expect(String(error)).toContain(
    "it has the class 'Local' of skein/test/integration/routines/shapes.ts",
  );
  expect(String(error)).toContain('not later or inside a function');
  expect(await describe(new Circle(1))).toBe('Circle [object Object]');
});
