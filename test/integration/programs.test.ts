/** Whole programs, run as users run them: by Node on JavaScript with the built package, and by tsx. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PoolWorker } from '../../src/index.ts';
import { ROOT, runScript, type Script, scratchFolder, TSX, untilGone } from './helpers.ts';

const fixture = (path: string) => join(ROOT, 'test/fixtures', path);
const folder = scratchFolder();

const temporary = () => readdirSync(folder).filter((name) => name.startsWith('skein-'));

/** Runs a program to its end, with a folder for temporary files of its own, and sees it tidy up. */
async function run(
  path: string,
  nodeOptions = '',
  args: string[] = [],
): Promise<Script & { code: unknown }> {
  const env = { ...process.env, TMPDIR: folder, NODE_OPTIONS: nodeOptions };
  const script = runScript(fixture(path), args, { env, loader: TSX });
  const code = await script.ended;
  expect(temporary()).toEqual([]);
  return { ...script, code };
}

describe('a program in one file, whose main part is guarded with isWorker', () => {
  test.each(['plain/single-file.mjs', 'single-file.ts'])('runs, and ends: %s', async (path) => {
    const { code, stdout, stderr } = await run(path);
    expect(stderr()).toBe('');
    expect(JSON.parse(stdout())).toEqual({ sum: 3, counted: [0, 1, 2], elsewhere: true });
    expect(code).toBe(0);
  });
});

describe('a program whose main part is not guarded', () => {
  test('fails with an error that says how', async () => {
    const { code, stderr } = await run('broken/opens-pool.ts');
    expect(stderr()).toMatch(/^MainModuleError: .*if \(!isWorker\)/m);
    expect(stderr()).toContain("code: 'MAIN_MODULE'");
    expect(stderr()).not.toContain('RoutineNotFound');
    expect(code).toBe(1);
  });

  test('says how where the module does not wait for it, as in CommonJS, and blames no task', async () => {
    const { code, stdout, stderr } = await run('broken/opens-pool-unawaited.ts');
    expect(stdout()).toBe('3\n');
    expect(stderr()).toMatch(/^\[\w{8}\] MainModuleError: .*if \(!isWorker\).*\n$/);
    expect(code).toBe(0);
  });
});

describe('a program that does not close its pool', () => {
  test.each([
    ['none', ''],
    ['call', 'after 300 ms\n'],
    ['tcp', 'after 300 ms\n'],
    ['generator', '1\n'],
  ])('ends when it has nothing else to do, and its workers too: %s', async (mode, output) => {
    const { code, stdout, stderr } = await run('unclosed.ts', '', [mode, join(folder, mode)]);
    expect(stderr()).toBe('');
    const [workers, ...lines] = stdout().split('\n');
    expect(lines.join('\n')).toBe(output);
    expect(code).toBe(0);
    const pids = (JSON.parse(workers as string) as PoolWorker[]).map(({ pid }) => pid as number);
    await untilGone(pids);
    expect(temporary()).toEqual([]);
  });
});

describe('names in plain JavaScript', () => {
  test('are found as in TypeScript', async () => {
    const { code, stdout, stderr } = await run('plain/names.mjs');
    expect(stderr()).toBe('');
    const lines = stdout().trim().split('\n');
    expect(lines).toHaveLength(10);
    for (const line of lines) expect(line).toMatch(/^(\w+) \1$/);
    expect(code).toBe(0);
  });

  test('are found in CommonJS', async () => {
    const { code, stdout } = await run('plain/names.cjs');
    expect(stdout()).toBe('add 3\ndefault default\n');
    expect(code).toBe(0);
  });

  test('are those of the script that runs, where source maps lead to another file', async () => {
    const { code, stdout, stderr } = await run('plain/mapped.mjs', '--enable-source-maps');
    expect(stderr()).toBe('');
    // The second word tells that the map was in use.
    expect(stdout()).toBe('3 true\n');
    expect(code).toBe(0);
  });
});

describe('a program in JavaScript that has workers import TypeScript', () => {
  const files = {
    'package.json': '{ "type": "module" }',
    'typed.ts': `import { routine } from 'skein';
      export const next = routine(async function next(n: number): Promise<number> { return n + 1; });`,
    'main.js': `import { routine, WorkerPool } from 'skein';
      const next = routine(async function next() {}, { module: new URL('typed.ts', import.meta.url).href });
      const pool = await WorkerPool.open({ size: 1 });
      console.log(await next(1).catch((error) => error.message));
      await pool.close();`,
  };
  const run = async (name: string, install: (modules: string) => void) => {
    const modules = join(folder, name, 'node_modules');
    mkdirSync(modules, { recursive: true });
    symlinkSync(ROOT, join(modules, 'skein'));
    install(modules);
    for (const [file, code] of Object.entries(files)) writeFileSync(join(folder, name, file), code);
    const { ended, stdout, stderr } = runScript(join(folder, name, 'main.js'));
    return { code: await ended, out: stdout(), err: stderr() };
  };

  test('runs where tsx is installed', async () => {
    const link = (modules: string) =>
      symlinkSync(join(ROOT, 'node_modules/tsx'), join(modules, 'tsx'));
    expect(await run('typed', link)).toEqual({ code: 0, out: '2\n', err: '' });
  });

  // A Node that takes the types away by itself asks no tsx.
  const alone = 'typescript' in process.features ? test.skip : test;
  alone('says why tsx does not load', async () => {
    const { code, out } = await run('mistyped', (modules) => {
      mkdirSync(join(modules, 'tsx'));
      writeFileSync(join(modules, 'tsx/index.js'), "throw new Error('out of order');");
    });
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(
        /typed\.ts is TypeScript, and tsx, .* does not load: out of order/,
      ),
    });
  });
});

test('methods are routines in plain JavaScript', async () => {
  const { code, stdout, stderr } = await run('plain/methods.mjs');
  expect(stderr()).toBe('');
  expect(JSON.parse(stdout())).toEqual({
    counted: [40, 41],
    made: 'Double',
    twice: [[42, 'Counter.prototype.add'], 'double'],
    limited: [2, 'Counter.prototype.add'],
  });
  expect(code).toBe(0);
});

test('a call ends in time whose result names what its caller, which waits for it, has yet to make', async () => {
  const { code, stdout, stderr } = await run('plain/waits-for-itself.mjs');
  expect(stderr()).toBe('');
  const late =
    'DispatchTimeout: the call did not end within 700 ms: its value waits for a module to load';
  expect(stdout().trim().split('\n')).toEqual([late, late, 'Error: enough']);
  expect(code).toBe(0);
});
