/** Programs and workers whose modules stand in different folders, run as users run them. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import {
  ContextVar,
  fork,
  routine,
  StaticDiscovery,
  Worker,
  WorkerPool,
  WorkerStartError,
} from '../../src/index.ts';
import { ROOT, runScript, type Script, scratchFolder, until } from './helpers.ts';

const folder = scratchFolder();
const scripts: Script[] = [];
afterAll(async () => {
  for (const { child } of scripts) child.kill('SIGKILL');
  await Promise.all(scripts.map(({ ended }) => ended));
});

const ROUTINES = `
import { registerClass, routine } from 'skein';
import { Money } from './money.mjs';
export const where = routine(async function where() { return import.meta.url; });
export const twice = routine(async function twice(money) { return new Money(money.cents * 2); });
`;
const MONEY = `
import { registerClass } from 'skein';
export class Money {
  constructor(cents) { this.cents = cents; }
  get text() { return this.cents + ' cents'; }
}
registerClass(Money);
`;
const MAIN = `
import { StaticDiscovery, WorkerPool } from 'skein';
import { own } from './jobs/own.mjs';
import { Money } from './src/money.mjs';
import { twice, where } from './src/routines.mjs';
const [address] = process.argv.slice(2);
const discovery = address && new StaticDiscovery([address]);
const pool = await WorkerPool.open(discovery ? { discovery } : { size: 1 });
for (const call of [where, () => twice(new Money(21)).then(({ text }) => text), own]) {
  try {
    console.log(await call());
  } catch (error) {
    console.log(error.name + ': ' + error.message);
  }
}
await pool.close();
`;
const OWN = `
import { currentTask, routine } from 'skein';
import '../src/routines.mjs';
export const own = routine(async function own() { return currentTask().routine; });
`;
const WORKER = `
import { Worker } from 'skein';
const worker = new Worker(JSON.parse(process.argv[2] ?? '{}'));
console.log(await worker.start());
`;

/** Writes files into a new folder, in which `skein` can be imported. */
function checkout(name: string, files: Record<string, string>): string {
  const place = join(folder, name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(place, path)), { recursive: true });
    writeFileSync(join(place, path), content);
  }
  mkdirSync(join(place, 'node_modules'), { recursive: true });
  symlinkSync(ROOT, join(place, 'node_modules/skein'), 'dir');
  return place;
}

function shop(name: string, others: Record<string, string> = {}): string {
  return checkout(name, {
    'package.json': '{ "name": "shop" }',
    'src/routines.mjs': ROUTINES,
    'src/money.mjs': MONEY,
    'jobs/own.mjs': OWN,
    'main.mjs': MAIN,
    ...others,
  });
}

async function startWorker(cwd: string, options: object = {}): Promise<string> {
  const file = join(checkout(`worker-${scripts.length}`, { 'worker.mjs': WORKER }), 'worker.mjs');
  const script = runScript(file, [JSON.stringify(options)], { cwd });
  scripts.push(script);
  await until(() => expect(script.stdout() + script.stderr()).toContain('\n'));
  expect(script.stderr()).toBe('');
  return script.stdout().trim();
}

async function run(place: string, ...args: string[]): Promise<string[]> {
  const script = runScript(join(place, 'main.mjs'), args, { cwd: folder });
  scripts.push(script);
  await script.ended;
  expect(script.stderr()).toBe('');
  return script.stdout().trim().split('\n');
}

describe('a program calls a worker of another checkout', () => {
  test('by default one that was started in its folder', async () => {
    const [program, other] = [shop('program'), shop('other')];
    expect(await run(program, await startWorker(other))).toEqual([
      expect.stringMatching(/^file:.*\/other\/src\/routines\.mjs$/),
      '42 cents',
      'shop/jobs/own.mjs#own',
    ]);
  });

  test('one with a root, or that loads modules at its start', async () => {
    const [program, other] = [shop('program-2'), shop('other-2')];
    const root = join(other, 'src');
    const modules = [join(other, 'jobs/own.mjs')];
    const rooted = await run(program, await startWorker('/', { root }));
    expect(rooted[1]).toBe('42 cents');
    expect(rooted[2]).toMatch(
      /^RoutineNotFound: the worker can't load shop\/jobs\/own\.mjs: it finds no/,
    );
    const loaded = await run(program, await startWorker('/', { modules }));
    expect(loaded.slice(1)).toEqual(['42 cents', 'shop/jobs/own.mjs#own']);
  });

  test('which says what to do where it does not have the program, and nothing of its own folders', async () => {
    const program = shop('program-3');
    const elsewhere = checkout('elsewhere', { 'package.json': '{ "name": "elsewhere" }' });
    const nameless = shop('nameless', { 'package.json': '{}' });
    const address = await startWorker(elsewhere);
    const [missing] = await run(program, address);
    expect(missing).toMatch(
      /^RoutineNotFound: the worker can't load shop\/src\/routines\.mjs: it finds no /,
    );
    expect(missing).toMatch(/\(--root\), or .*\(--module\)$/);
    expect(missing).not.toContain(elsewhere);
    const [unnamed] = await run(nameless, address);
    expect(unnamed).toMatch(
      /^RoutineNotFound: the worker can't load file:.*give the program a package\.json with/,
    );
  });

  test('and hears why a module there does not load, by paths in its root', async () => {
    const program = shop('program-4');
    const broken = shop('broken', { 'src/money.mjs': "import 'not-installed';" });
    const [missing] = await run(program, await startWorker(broken));
    expect(missing).toMatch(
      /^RoutineNotFound: .*Cannot find package 'not-installed' imported from src\/money\.mjs/,
    );
  });
});

test('a worker imports nothing from outside for what a value names', async () => {
  const place = checkout('guarded', {
    'package.json': '{ "name": "guarded" }',
    'routines.mjs': `
      import { ContextVar, routine } from 'skein';
      export const chosen = new ContextVar('chosen');
      export const name = routine(async function name(value) { return value.name; });
      export const next = routine(async function* next() {
        for (;;) try { yield typeof (yield); } catch (error) { yield String(error.value); }
      });
      export const inContext = routine(async function inContext() { return String(chosen.get()); });
    `,
  });
  const outside = checkout('unguarded', {
    'package.json': '{}',
    'module.mjs': `import { writeFileSync } from 'node:fs'; writeFileSync('${folder}/ran', '');`,
  });
  const there = { module: join(outside, 'module.mjs'), name: 'anything' };
  const value = routine(async () => {}, there);
  const module = join(place, 'routines.mjs');
  const name = routine(async (_value: unknown) => '', { module, name: 'name' });
  const next = routine(async function* (): AsyncGenerator<unknown, void, unknown> {}, {
    module,
    name: 'next',
  });
  const inContext = routine(async () => '', { module, name: 'inContext' });
  const chosen = new ContextVar<unknown>('chosen', { namespace: 'guarded' });
  const discovery = new StaticDiscovery([await startWorker(place)]);
  await using pool = await WorkerPool.open({ discovery, strict: true });
  const refusal = /module\.mjs, and that module does not load: it imports modules by package name/;
  await expect(name.on(pool)(value)).rejects.toThrow(refusal);
  const values = next.on(pool)();
  await values.next();
  await expect(values.next(value)).rejects.toThrow(refusal);
  const others = next.on(pool)();
  await others.next();
  const thrown = await others.throw(Object.assign(new Error(), { value }));
  expect(thrown.value).toMatch(/^\[not known here: routine 'anything' of file:.*module\.mjs\]$/);
  await fork(async () => {
    chosen.set(value);
    await expect(inContext.on(pool)()).rejects.toThrow('chosen has no value here');
  });
  expect(existsSync(join(folder, 'ran'))).toBe(false);
});

test('a worker runs routines of a main module that waits for it to stop', async () => {
  const place = checkout('embedding', {
    'package.json': '{ "name": "embedding" }',
    'main.mjs': `
      import { routine, Worker } from 'skein';
      export const hello = routine(async function hello() { return 'hello'; });
      const worker = new Worker();
      console.log(await worker.start());
      await worker.stopped;`,
  });
  const script = runScript(join(place, 'main.mjs'));
  scripts.push(script);
  await until(() => expect(script.stdout()).toContain('\n'));
  const module = join(place, 'main.mjs');
  const hello = routine(async () => 'not here', { module, name: 'hello' });
  const discovery = new StaticDiscovery([script.stdout().trim()]);
  await using pool = await WorkerPool.open({ discovery });
  expect(await hello.with({ pool, timeout: 10_000 })()).toBe('hello');
});

test('a worker whose modules do not load says so, and does not start', async () => {
  const worker = new Worker({ modules: [join(ROOT, 'test/fixtures/broken/syntax.ts')] });
  await expect(worker.start()).rejects.toThrow(WorkerStartError);
  const other = new Worker({ modules: ['not-there.mjs'] });
  await expect(other.start()).rejects.toThrow(
    /^the module 'not-there\.mjs' does not load: TypeError: there is no module 'not-there\.mjs': neither/,
  );
});

describe('the workers that a program spawns find its modules', () => {
  test('where it has no package with a name', async () => {
    const nameless = shop('nameless-2', { 'package.json': '{}' });
    const lines = await run(nameless);
    expect(lines[1]).toBe('42 cents');
    expect(lines[2]).toMatch(/^file:.*\/nameless-2\/jobs\/own\.mjs#own$/);
  });

  test('where dependencies are hidden from it, as by pnpm, and there are two of one name', async () => {
    const store = 'node_modules/.pnpm';
    const place = shop('hidden', {
      [`${store}/a@1/node_modules/a/package.json`]: '{ "name": "a", "exports": "./a.mjs" }',
      [`${store}/a@1/node_modules/a/a.mjs`]: "export { tell } from 'b';",
      [`${store}/b@1/node_modules/b/package.json`]: '{ "name": "b", "exports": "./b.mjs" }',
      [`${store}/b@1/node_modules/b/b.mjs`]: teller(1),
      [`${store}/b@2/node_modules/b/package.json`]: '{ "name": "b", "exports": "./b.mjs" }',
      [`${store}/b@2/node_modules/b/b.mjs`]: teller(2),
      'main.mjs': `
        import { isWorker, WorkerPool } from 'skein';
        import { tell as first } from 'a';
        import { tell as second } from 'b';
        if (!isWorker) {
          const pool = await WorkerPool.open({ size: 1 });
          for (const tell of [first, second]) {
            const told = await tell();
            console.log(told.version, told.constructor === (await tell(told)).constructor);
          }
          await pool.close();
        }`,
    });
    const inStore = join(place, store);
    symlinkSync(join(inStore, 'a@1/node_modules/a'), join(place, 'node_modules/a'), 'dir');
    symlinkSync(join(inStore, 'b@2/node_modules/b'), join(place, 'node_modules/b'), 'dir');
    symlinkSync(join(inStore, 'b@1/node_modules/b'), join(inStore, 'a@1/node_modules/b'), 'dir');
    for (const one of ['b@1', 'b@2']) {
      symlinkSync(ROOT, join(inStore, one, 'node_modules/skein'), 'dir');
    }
    expect(await run(place)).toEqual(['1 true', '2 true']);
  });
});

describe('a package that workers meet first', () => {
  const routines = `
    import { currentTask, routine } from 'skein';
    export const meet = routine(async function meet(url) {
      return (await import(url)).tell.local();
    });
    export const show = routine(async function show(told) {
      return [told.constructor.name, currentTask().worker];
    });
    export const pass = routine(async function pass(url) {
      const told = await (await import(url)).tell.local();
      return Promise.all(Array.from({ length: 8 }, () => show(told)));
    });
  `;
  const main = (body: string) => `
    import { WorkerPool } from 'skein';
    import { meet, pass } from './routines.mjs';
    const pool = await WorkerPool.open({ size: 2 });
    const urls = process.argv.slice(2);
    ${body}
    await pool.close();
  `;
  const elsewhere = ['one', 'two'].map((name, i) => {
    const place = checkout(`met-${name}`, {
      'package.json': '{ "name": "met" }',
      'met.mjs': teller(i + 1),
    });
    return pathToFileURL(join(place, 'met.mjs')).href;
  });

  test('is found by the other workers, and by the program', async () => {
    const place = checkout('meets', {
      'package.json': '{ "name": "meets" }',
      'routines.mjs': routines,
      'main.mjs': main(`
        const shown = await pass(urls[0]);
        console.log(new Set(shown.map(([name]) => name)), new Set(shown.map(([, one]) => one)).size);
        console.log((await meet(urls[0])).constructor === (await meet(urls[0])).constructor);
      `),
    });
    expect(await run(place, ...elsewhere)).toEqual(["Set(1) { 'Told' } 2", 'true']);
  });
});

/** A module with a class of its own, and a routine that gives an instance of it, or what it is given. */
function teller(version: number): string {
  return `
    import { registerClass, routine } from 'skein';
    class Told { version = ${version}; }
    registerClass(Told);
    export const tell = routine(async function tell(given) { return given ?? new Told(); });
  `;
}
