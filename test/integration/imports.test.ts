/** What a process imports because another one names it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RoutineNotFound, routine, SerializationError } from '../../src/index.ts';
import { rejection, scratchFolder } from './helpers.ts';
import { routineOf } from './routines/foreign.ts';
import { echoRoutine } from './routines/references.ts';
import { WorkerPool } from './runtime.ts';

const folder = scratchFolder();
let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

/** A module that leaves a file behind, and the file. */
function dataModule(name: string): [module: string, file: string] {
  const file = join(folder, name);
  const code = `import fs from 'node:fs'; fs.writeFileSync(${JSON.stringify(file)}, 'ran')`;
  return [`data:text/javascript,${encodeURIComponent(code)}`, file];
}

describe('a module that is no file is not loaded', () => {
  test('by a worker, for a routine', async () => {
    const [module, file] = dataModule('called');
    const foreign = routine(async () => 'ran', { module, name: 'foreign' });
    const error = (await rejection(foreign())) as RoutineNotFound;
    expect(error).toBeInstanceOf(RoutineNotFound);
    expect(error.message).toContain('only modules that are files');
    expect(existsSync(file)).toBe(false);
  });

  test('by a worker, for a value', async () => {
    const [module, file] = dataModule('passed');
    const foreign = routine(async () => 'ran', { module, name: 'foreign' });
    const error = await rejection(echoRoutine(foreign as never));
    expect(error).toBeInstanceOf(SerializationError);
    expect(String(error)).toContain('only modules that are files');
    expect(existsSync(file)).toBe(false);
  });

  test('by a caller, for a value', async () => {
    const [module, file] = dataModule('returned');
    const error = await rejection(routineOf(module));
    expect(error).toBeInstanceOf(SerializationError);
    expect(String(error)).toContain('only modules that are files');
    expect(existsSync(file)).toBe(false);
  });

  test('also when it comes with Node', async () => {
    const error = await rejection(routineOf('node:fs'));
    expect(String(error)).toContain('only modules that are files');
  });
});
