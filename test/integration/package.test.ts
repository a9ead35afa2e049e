/**
 * The package as its users get it: packed, installed in an empty folder, and run with the programs of
 * README.md, docs/context.md, docs/discovery.md and docs/nats.md. A block there that begins with
 * `// name.ts` is a file; what its lines print is behind them. `npm test` has built the package by then.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, scratchFolder, TYPESCRIPT } from './helpers.ts';
import { type NatsServer, noNats, startNats } from './nats-server.ts';

const run = promisify(execFile);

interface Program {
  readonly file: string;
  readonly code: string;
}

/** @param folder where the files of the page go */
function programsOf(page: string, folder = ''): Program[] {
  const blocks = page.matchAll(/^```\w+\n(\/\/ ([\w.-]+\.(?:c?[jt]s|json))\n.*?)^```$/gms);
  return Array.from(blocks, ([, code, file]) => ({
    code: code as string,
    file: join(folder, file as string),
  }));
}

/** The runtime of a worker is an ES module; what this file requires there, is another copy of it. */
const COMMONJS = `
import { ContextVar, isWorker, routine, WorkerPool } from 'skein';

const word = new ContextVar<string>('word', { default: 'default' });
const read = routine(async () => word.get());
const write = routine(async () => word.set('there'));

async function main() {
  const pool = await WorkerPool.open({ size: 1 });
  word.set('here');
  console.log(await read()); // here
  const token = await write();
  console.log(word.get()); // there
  word.reset(token);
  console.log(word.get()); // here
  await pool.close();
}

if (!isWorker) void main();
`;

/** Its package was not installed: the types must do without, and the error say what to do. */
const NATS = `
import { WorkerPool } from 'skein';
import { natsTransport } from 'skein/nats';

const pool = WorkerPool.open({ size: 1, transport: natsTransport({ servers: 'nats://host' }) });
await pool.catch(({ message }) => console.log(message));
`;

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const nats = readFileSync(join(ROOT, 'docs/nats.md'), 'utf8');
/** They need a server. */
const natsPrograms = programsOf(nats, 'nats');
const programs = [
  ...programsOf(readme),
  ...programsOf(readFileSync(join(ROOT, 'docs/context.md'), 'utf8'), 'context'),
  ...programsOf(readFileSync(join(ROOT, 'docs/discovery.md'), 'utf8'), 'discovery'),
];
const mains = programs.filter(({ code }) =>
  /WorkerPool\.open\(|Simulation\.run\(|DiscoveryContract/.test(code),
);

/** What the program says it prints: the comments behind `console.log`. */
function promised(code: string): string {
  return words(
    [...code.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, text]) => text).join(' '),
  );
}

function words(text: string): string {
  return text.split(/\s+/).filter(Boolean).join(' ');
}

const folder = scratchFolder();
process.env.SKEIN_TEST_PROGRAMS = folder;

/** Where docs/nats.md has its server. */
const URL_OF_PAGE = 'nats://127.0.0.1:4222';

const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const quiet = ['--prefer-offline', '--no-audit', '--no-fund'];

function npm(cwd: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

function tool(name: string): string {
  const { bin } = JSON.parse(
    readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'),
  );
  return join(folder, 'node_modules', name, name === 'typescript' ? bin.tsc : bin);
}

function write(file: string, code: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), code);
}

function loader(file: string): string[] {
  if (!file.endsWith('.ts')) return [];
  // What `npx tsx` runs, and what is much quicker.
  return basename(file) === 'main.ts' ? [tool('tsx')] : [...TYPESCRIPT];
}

beforeAll(() => {
  const [, listed] = /^npm install -D (.*)$/m.exec(readme) ?? [];
  const tools = (listed ?? '').split(' ').map((name) => `${name}@${devDependencies[name]}`);
  // Other tests run from dist/, so it must not be built anew now.
  const [packed] = JSON.parse(
    npm(ROOT, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder),
  );
  npm(folder, 'init', '-y');
  npm(folder, 'pkg', 'set', 'type=module');
  npm(folder, 'install', ...quiet, join(folder, packed.filename), ...tools);
  for (const { file, code } of [...programs, ...natsPrograms]) write(file, code);
  write('nats.ts', NATS);
}, 120_000);

describe('the installed package', () => {
  test.for(mains.map((main) => [main.file, main.code] as const))(
    'runs %s',
    async ([file, code]) => {
      const argv = [...loader(file), basename(file)];
      const cwd = join(folder, dirname(file));
      const { stdout, stderr } = await run(process.execPath, argv, { cwd });
      expect({ out: words(stdout), err: stderr }).toEqual({ out: promised(code), err: '' });
    },
  );

  test.runIf(Number.parseInt(process.versions.node, 10) >= 24)(
    'runs main.ts without a loader',
    async () => {
      const { stdout } = await run(process.execPath, ['main.ts'], { cwd: folder });
      expect(words(stdout)).toBe('3 0 1 4');
    },
  );

  test('has the command, for TypeScript too', async () => {
    const command = join(folder, 'node_modules/.bin/skein');
    const skein = async (...args: string[]) => (await run(command, args, { cwd: folder })).stdout;
    expect(await skein('run', 'routines.ts', 'add', '1', '2')).toBe('3\n');
    expect(await skein('--version')).toBe('0.1.0\n');
    // What the page says of it, is so.
    const calls = [...readme.matchAll(/^npx skein (run routines\.ts \w+(?: \d+)+) # (.*)$/gm)];
    for (const [, line, printed] of calls) {
      expect(await skein(...(line as string).split(' '))).toBe(`${printed}\n`);
    }
    expect(calls).toHaveLength(1);
  });

  test('is one in a process, though a loader makes two of it for CommonJS', async () => {
    const cwd = join(folder, 'commonjs');
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'package.json'), '{ "name": "commonjs" }');
    writeFileSync(join(cwd, 'main.ts'), COMMONJS);
    const { stdout, stderr } = await run(process.execPath, [tool('tsx'), 'main.ts'], { cwd });
    expect({ out: words(stdout), err: stderr }).toEqual({ out: promised(COMMONJS), err: '' });
  });

  test('says what is missing for NATS, which who does not use it does not install', async () => {
    const { stdout } = await run(process.execPath, [...loader('nats.ts'), 'nats.ts'], {
      cwd: folder,
    });
    expect(stdout).toContain(
      'skein/nats needs the package @nats-io/transport-node: npm install @nats-io/transport-node',
    );
  });

  test('has types that the tsconfig.json of README.md is enough for', async () => {
    expect(programs.map(({ file }) => file)).toContain('tsconfig.json');
    // On failure, the error holds what tsc wrote.
    const { stdout } = await run(process.execPath, [tool('typescript')], { cwd: folder });
    expect(stdout).toBe('');
  });

  test('holds what is needed, and no tests or sources', async () => {
    const [{ files }] = JSON.parse(npm(ROOT, 'pack', '--dry-run', '--ignore-scripts', '--json'));
    const paths: string[] = files.map(({ path }: { path: string }) => path);
    const rooms = new Set(paths.map((path) => path.split('/')[0]));
    expect([...rooms].sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'dist',
      'docs',
      'examples',
      'package.json',
      'proto',
    ]);
    expect(paths).toContain('docs/context.md');
    expect(paths).toContain('docs/discovery.md');
    expect(paths).toContain('docs/nats.md');
    expect(paths).toContain('examples/nats/nats-server.conf');
    expect(paths).toContain('docs/security.md');
    expect(paths).toContain('examples/security/issue.sh');
    expect(paths).toContain('docs/values.md');
    expect(paths).toContain('docs/simulation.md');
    expect(paths).toContain('docs/statecharts.md');
  });

  test('lets clients in other languages find the protocol, and installs no tools of its tests', () => {
    const { resolve } = createRequire(join(folder, 'main.js'));
    const schema = readFileSync(resolve('skein/proto/skein/v1/worker.proto'), 'utf8');
    expect(schema).toContain('package skein.v1;');
    expect(() => resolve('cbor-x')).toThrow('cbor-x');
  });
});

describe.skipIf(noNats !== undefined)('docs/nats.md', () => {
  const cwd = join(folder, 'nats');
  const skein = join(folder, 'node_modules/.bin/skein');
  const running: ChildProcess[] = [];
  let server: NatsServer;

  beforeAll(async () => {
    const [, client = ''] = /^npm install (\S+)$/m.exec(nats) ?? [];
    npm(folder, 'install', ...quiet, `${client}@${devDependencies[client]}`);
    server = await startNats();
    for (const { file, code } of natsPrograms)
      write(file, code.replaceAll(URL_OF_PAGE, server.url));
  });

  afterEach(async () => {
    for (const child of running.splice(0)) {
      if (child.exitCode !== null) continue;
      const ended = once(child, 'close');
      // What a shell has started, too.
      process.kill(-(child.pid as number), 'SIGTERM');
      await ended;
    }
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  /** Goes on until the test is over. */
  function background(command: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const options = { cwd, env: { ...process.env, ...env }, detached: true } as const;
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'ignore'] });
    running.push(child);
    return child;
  }

  /** The commands of the page that have something in them, block by block: those of a worker stay. */
  async function runCommands(like: RegExp, url: string, env: NodeJS.ProcessEnv): Promise<number> {
    const blocks = [...nats.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, lines]) => lines as string);
    let printed = 0;
    const found = blocks.filter((block) => like.test(block)).join('');
    for (const line of found.trim().split('\n')) {
      const [command = '', expected] = line
        .replace('npx skein', skein)
        .replaceAll(URL_OF_PAGE, url)
        .replace('@127.0.0.1', `@${url.slice('nats://'.length)}`)
        .split(' # ');
      // It runs on.
      if (/skein worker/.test(command)) {
        background('sh', ['-c', command], env);
        continue;
      }
      const options = { cwd, env: { ...process.env, ...env } };
      const { stdout, stderr } = await run('sh', ['-c', command], options);
      if (expected === undefined) continue;
      expect({ stdout, stderr }).toEqual({ stdout: `${expected}\n`, stderr: '' });
      printed += 1;
    }
    return printed;
  }

  test('leads from a worker to the first result', async () => {
    const worker = background(process.execPath, ['--import', 'tsx', 'worker.ts']);
    const [line] = await once(worker.stdout as Readable, 'data');
    expect(String(line)).toMatch(/^listens at nats:\/\/default\/anyone\/[\w-]+\n$/);
    const results = ['main.ts', 'spawning.ts'].map(async (file) => {
      const { code } = natsPrograms.find((program) => basename(program.file) === file) as Program;
      const { stdout, stderr } = await run(process.execPath, ['--import', 'tsx', file], { cwd });
      expect({ out: words(stdout), err: stderr }).toEqual({ out: promised(code), err: '' });
    });
    await Promise.all(results);
  });

  test('has commands that do the same', async () => {
    expect(await runCommands(/^npx skein/m, server.url, {})).toBe(2);
  });

  test('has commands for confined accounts, on a server with the file of the package', async () => {
    const env = { GPU_PASSWORD: 'p1', ALICE_PASSWORD: 'p2', OPS_PASSWORD: 'p3' };
    const file = join(folder, 'node_modules/skein/examples/nats/nats-server.conf');
    const config = readFileSync(file, 'utf8').replace(/^listen:.*/m, '');
    const variables = Object.entries(env).map(([name, value]) => `${name}: "${value}"`);
    await using confined = await startNats({ config: [...variables, config].join('\n') });
    expect(await runCommands(/^SKEIN_NATS=/m, confined.url, env)).toBe(1);
  });
});

test('README.md shows client code before line 60', () => {
  expect(readme.split('\n').findIndex((line) => line.includes('WorkerPool.open('))).toBeLessThan(
    60,
  );
  expect(mains.length).toBeGreaterThan(5);
});
