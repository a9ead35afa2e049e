import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { routine, SerializationError } from '../../src/index.ts';
import { rejection } from './helpers.ts';
import {
  callEach,
  callIt,
  echoRoutine,
  lateRoutines,
  lateStep,
  lateThrown,
  unreachable,
} from './routines/references.ts';
import { subtract, subtractMore } from './routines/unasked.ts';
import { WorkerPool } from './runtime.ts';

let pool: WorkerPool;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-references-'));
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true });
});

test('a routine that is passed is called on the worker, which loads its module', async () => {
  expect(await callIt(subtract, 44, 2)).toBe(42);
});

test('a routine that comes back is the same one', async () => {
  expect(await echoRoutine(subtract)).toBe(subtract);
});

test('a routine is known to the caller when it is returned, though its module was not loaded', async () => {
  const [double, triple, again] = await lateRoutines();
  expect(await double?.(21)).toBe(42);
  expect(await triple?.(14)).toBe(42);
  expect(again).toBe(double);
});

test('also when it is yielded', async () => {
  for await (const quadruple of lateStep()) expect(await quadruple(10.5)).toBe(42);
});

test('also when it is a property of what was thrown', async () => {
  const error = (await rejection(lateThrown())) as { quintuple?: unknown };
  expect(error).toMatchObject({ message: 'with a routine' });
  expect(error.quintuple).toBeTypeOf('function');
});

test('a routine is passed to a generator', async () => {
  await using worker = await WorkerPool.open({ size: 1 });
  const results = callEach.on(worker)();
  await worker.run(() => results.next());
  expect((await results.next(subtract)).value).toBe(19);
  expect((await results.next(subtractMore)).value).toBe(18);
  await results.return();
});

test('a routine whose module is gone fails its own call, with the reason', async () => {
  const file = join(folder, 'lost.mjs');
  const index = new URL('../../src/index.ts', import.meta.url).href;
  const text = `import { routine } from ${JSON.stringify(index)};\nexport const lost = routine(() => 1);\n`;
  await writeFile(file, text);
  const url = pathToFileURL(file).href;
  const error = await rejection(unreachable(url));
  expect(error).toBeInstanceOf(SerializationError);
  expect(String(error)).toContain(`the routine 'lost' of ${url}`);
});

test('a routine with options, and a function, are refused with advice', async () => {
  const add = routine(async (x: number, y: number) => x + y, { name: 'added' });
  const bound = add.with({ timeout: 10 });
  const error = await rejection(echoRoutine(bound as never));
  expect(error).toMatchObject({ path: 'args[0]' });
  expect(String(error)).toContain('pass a routine, by itself');
});
