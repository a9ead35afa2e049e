/**
 * Stacks of a compiled program, installed as by pnpm: the package is behind a link, in a folder with all
 * files of its own. `npm test` has built it by then.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT, runScript, scratchFolder } from './helpers.ts';

const ROUTINES = `
interface Inner {
  readonly n: number;
}

function deepInside({ n }: Inner): never {
  throw new RangeError('deep', { cause: new Error(String(n)) });
}

export const deep = routine(async (n: number) => {
  await null;
  deepInside({ n }); // inside
});

export const outer = routine(async (n: number) => {
  await deep(n); // on the way
});

export const steps = routine(function* (n: number) {
  yield n;
  deepInside({ n }); // in a step
});
`;

const MAIN = `
interface Printed {
  readonly stack: unknown;
  readonly cause: unknown;
}

await using pool = await WorkerPool.open({ size: 1 });

async function caught(call: () => Promise<unknown>): Promise<Printed> {
  try {
    await call(); // the call
  } catch (error) {
    const { stack, cause } = error as Error;
    return { stack, cause: (cause as Error).stack };
  }
  throw new Error('it did not fail');
}

async function all(): Promise<void> {
  for await (const _ of steps(1));
}

const printed = [await caught(() => outer(1)), await caught(all)];
console.log(JSON.stringify(printed));
`;

const folder = join(scratchFolder(), 'a program');
const at = (...names: string[]) => join(folder, ...names);
const dependencies = ['@grpc/grpc-js', 'pbf', 'xstate'];

beforeAll(() => {
  const store = at('node_modules/.pnpm/skein@0.1.0/node_modules');
  for (const name of ['dist', 'package.json']) {
    cpSync(join(ROOT, name), join(store, 'skein', name), { recursive: true });
  }
  mkdirSync(join(store, '@grpc'));
  for (const name of dependencies) symlinkSync(join(ROOT, 'node_modules', name), join(store, name));
  symlinkSync(join(store, 'skein'), at('node_modules/skein'));
  writeFileSync(at('package.json'), '{ "type": "module" }');
  writeFileSync(at('routines.ts'), `import { routine } from 'skein';${ROUTINES}`);
  const imports = `import { WorkerPool } from 'skein';import { outer, steps } from './routines.js';`;
  writeFileSync(at('main.ts'), imports + MAIN);
  writeFileSync(at('late.ts'), `process.setSourceMapsEnabled(true); await import('./main.js');`);
  const compiler = join(ROOT, 'node_modules/typescript');
  const { bin } = JSON.parse(readFileSync(join(compiler, 'package.json'), 'utf8'));
  const options = '--module nodenext --target es2022 --sourceMap --noCheck --outDir out';
  const argv = [join(compiler, bin.tsc), ...options.split(' '), 'main.ts', 'late.ts'];
  execFileSync(process.execPath, argv, { cwd: folder, stdio: 'inherit' });
}, 60_000);

/** A place in the source, by the text of its line. */
function place(file: string, text: string): RegExp {
  const source = readFileSync(at(file), 'utf8').split('\n');
  const line = source.findIndex((one) => one.includes(text)) + 1;
  return new RegExp(`${file}:${line}:\\d+\\)?$`);
}

/** The frames of the stacks that the program prints, each a list; and no limit cuts one. */
async function stacks(file: string, nodeOptions: string): Promise<string[][]> {
  const env = { ...process.env, NODE_OPTIONS: `--stack-trace-limit=100 ${nodeOptions}` };
  const script = runScript(at('out', file), [], { cwd: folder, env });
  await script.ended;
  expect(script.stderr()).toBe('');
  const printed: { stack: string; cause: string }[] = JSON.parse(script.stdout());
  const texts = printed.flatMap(({ stack, cause }) => [stack, cause]);
  return texts.map((text) => text.split('\n').slice(1));
}

const OWN = /node_modules|node:|\/(?:src|dist)\//;

describe.each([
  ['are on by an option of Node', 'main.js', '--enable-source-maps'],
  ['are switched on by the program', 'late.js', ''],
])('where source maps %s', (_how, file, nodeOptions) => {
  test('stacks show places in the source, on the worker and at the caller', async () => {
    const [nested, cause, steps] = await stacks(file, nodeOptions);
    const worker = (name: string) => new RegExp(`^ {4}at ${name} \\(worker \\w{16}\\)$`);
    const expected = [
      place('routines.ts', 'throw new RangeError'),
      place('routines.ts', '// inside'),
      worker('deep'),
      place('routines.ts', '// on the way'),
      worker('outer'),
      place('main.ts', '// the call'),
      place('main.ts', 'const printed'),
    ];
    expect(nested).toEqual(expected.map((line) => expect.stringMatching(line)));
    expect(cause).toEqual([...expected.slice(0, 2)].map((line) => expect.stringMatching(line)));
    expect(steps?.slice(0, 4)).toEqual(
      [
        place('routines.ts', 'throw new RangeError'),
        place('routines.ts', '// in a step'),
        worker('steps'),
        place('main.ts', 'for await'),
      ].map((line) => expect.stringMatching(line)),
    );
    for (const line of [nested, cause, steps].flat()) expect(line).not.toMatch(OWN);
  });
});

test('without source maps stacks show places in what runs', async () => {
  const all = (await stacks('main.js', '')).flat();
  expect(all.filter((line) => !/ \(worker \w+\)$/.test(line)).length).toBeGreaterThan(8);
  for (const line of all) {
    expect(line).toMatch(/\(worker \w+\)$|\/a%20program\/out\/(?:main|routines)\.js:\d+:\d+\)?$/);
  }
});
