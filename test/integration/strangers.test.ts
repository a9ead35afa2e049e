/** What workers that somebody else has started can have their callers import. */
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { ROOT, runScript, type Script, scratchFolder, until } from './helpers.ts';

const folder = scratchFolder();
const sprung = join(folder, 'sprung');
const scripts: Script[] = [];
afterAll(async () => {
  for (const { child } of scripts) child.kill('SIGKILL');
  await Promise.all(scripts.map(({ ended }) => ended));
});
afterEach(() => rmSync(sprung, { force: true }));

function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

/** Any file of the machine, which somebody has run by naming it. */
const TRAP = `
  import { writeFileSync } from 'node:fs';
  writeFileSync(${JSON.stringify(sprung)}, '');
`;
const ROUTINES = `
  import { ContextVar, routine } from 'skein';
  export const chosen = new ContextVar('chosen');
  const own = async () => 'own';
  export const give = routine(own, { name: 'give' });
  export const fail = routine(own, { name: 'fail' });
  export const set = routine(own, { name: 'set' });
  export const setLate = routine(own, { name: 'setLate' });
  export const steps = routine(async function* steps() { yield 'own'; });
  const calls = {
    give,
    fail,
    steps: async () => { for await (const value of steps()) return value; },
    set: async () => await set() ?? 'chosen is ' + chosen.get('unset'),
    setLate: async () => await setLate() ?? 'set',
  };
  /** Calls until it is the other one's turn, and says what has come. */
  export async function turn(call) {
    try {
      for (;;) {
        const value = await call();
        if (value !== 'own') return String(value?.name ?? value);
      }
    } catch (error) {
      return error.name + ': ' + error.message + ' ' + String(error.value ?? '');
    }
  }
  export const tries = Object.keys(calls);
  export const direct = (what) => turn(calls[what]);
  export const nested = routine(async function nested(what) { return await direct(what); });
`;
/** The same routines, of somebody who wants others to import a file. */
const FORGED = `
  import { ContextVar, registerClass, routine } from 'skein';
  const chosen = new ContextVar('chosen');
  class Trap {}
  registerClass(Trap, { name: 'Trap', module: ${JSON.stringify(join(folder, 'outside/trap.mjs'))} });
  export const give = routine(async () => new Trap(), { name: 'give' });
  export const fail = routine(async () => {
    throw Object.assign(new Error('forged'), { value: new Trap() });
  }, { name: 'fail' });
  export const steps = routine(async function* steps() { yield new Trap(); });
  export const set = routine(async () => { chosen.set(new Trap()); }, { name: 'set' });
  const late = new ContextVar('late');
  export const setLate = routine(async () => { late.set(new Trap()); }, { name: 'setLate' });
  export const nested = routine(async () => 'own', { name: 'nested' });
`;
const HOST = `
  import { StaticDiscovery, Worker } from 'skein';
  await import('./routines.mjs');
  const [address] = process.argv.slice(2);
  const worker = new Worker(address ? { discovery: new StaticDiscovery([address]) } : {});
  console.log(await worker.start());
`;
const POOL = `
  import { ContextVar, StaticDiscovery, WorkerPool } from 'skein';
  import { direct, nested, tries, turn } from './routines.mjs';
  const [address, size, how] = process.argv.slice(2);
  // The workers that it spawns don't have it, and pass on what others set.
  const late = new ContextVar('late');
  const pool = await WorkerPool.open({ discovery: new StaticDiscovery([address]), size: Number(size) });
  for (const what of tries) {
    console.log(await (how === 'nested' ? turn(() => nested(what)) : direct(what)));
  }
  console.log('late is ' + late.get('unset'));
  await pool.close();
`;

write({
  'outside/trap.mjs': TRAP,
  'app/package.json': '{ "name": "shop" }',
  'app/routines.mjs': ROUTINES,
  'app/host.mjs': HOST,
  'app/pool.mjs': POOL,
  'forger/package.json': '{ "name": "shop" }',
  'forger/routines.mjs': FORGED,
  'forger/host.mjs': HOST,
});
mkdirSync(join(folder, 'node_modules'));
symlinkSync(ROOT, join(folder, 'node_modules/skein'), 'dir');

function start(place: string, file: string, ...args: string[]): Script {
  const cwd = join(folder, place);
  const script = runScript(join(cwd, file), args, { cwd });
  scripts.push(script);
  return script;
}

async function startWorker(place: string, ...args: string[]): Promise<string> {
  const script = start(place, 'host.mjs', ...args);
  await until(() => expect(script.stdout() + script.stderr()).toContain('\n'));
  expect(script.stderr()).toBe('');
  return script.stdout().trim();
}

async function lines(script: Script): Promise<string[]> {
  expect(await script.ended).toBe(0);
  return script.stdout().trim().split('\n');
}

const REFUSED =
  /^SerializationError: .*trap\.mjs, and that module does not load: .*by package name and relative/;
/** A generator's step, an error and a context variable are answers, too. */
const HARMLESS = [
  expect.stringMatching(REFUSED),
  expect.stringMatching(
    /^Error: forged \[not known here: an instance of class 'Trap' of file:.*trap\.mjs\]$/,
  ),
  expect.stringMatching(REFUSED),
  'chosen is unset',
  'set',
  'late is unset',
];

test('the callers of a worker that was found import no file since it names one', async () => {
  const forger = await startWorker('forger');
  const script = start('app', 'pool.mjs', forger, '0');
  expect(await lines(script)).toEqual(HARMLESS);
  expect(script.stderr()).toContain('the variable keeps the value that it has');
  expect(existsSync(sprung)).toBe(false);
});

test('nor does a worker in a program, for the calls of its tasks', async () => {
  const worker = await startWorker('app', await startWorker('forger'));
  expect(await lines(start('app', 'pool.mjs', worker, '0', 'nested'))).toEqual(HARMLESS);
  expect(existsSync(sprung)).toBe(false);
});

test('nor do the workers that a pool spawned beside', async () => {
  const forger = await startWorker('forger');
  expect(await lines(start('app', 'pool.mjs', forger, '1', 'nested'))).toEqual(HARMLESS);
  expect(existsSync(sprung)).toBe(false);
});
