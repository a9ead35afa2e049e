/** The command: help, bad input, and \`skein run\`. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort, program, result, skein } from './cli-helpers.ts';
import { ROOT, trace } from './helpers.ts';

const TYPED = `
import { routine } from 'skein';
export const next = routine(async function next(n: number): Promise<number> { return n + 1; });
`;

const cwd = program();
const run = (...args: string[]) => result(['run', 'routines.js', ...args], { cwd });

describe('skein --help', () => {
  test.each([
    [[]],
    [['worker']],
    [['pool', 'up']],
    [['pool', 'down']],
    [['pool', 'ls']],
    [['ping']],
    [['run']],
  ])('of %j says how it is used', async (command) => {
    const { code, out, err } = await result([...command, '--help'], { cwd });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(new RegExp(`^Usage: skein ${command.join(' ')}`));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: no colours
    expect(out).not.toMatch(/\x1b/);
    if (command.length > 0) expect(out).toContain('Examples:\n  skein ');
    else expect(out).toMatch(/Exit codes:\n {2}0/);
  });

  test('comes with exit code 2 where there is no command', async () => {
    const { code, out, err } = await result([], { cwd });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^Usage: skein/);
  });

  test('--version prints the version', async () => {
    expect(await result(['--version'], { cwd })).toMatchObject({ code: 0, out: '0.1.0\n' });
  });
});

describe('bad input ends with exit code 2, and a message that says what to do:', () => {
  test.each([
    [['pnig'], "unknown command 'pnig'\n(Did you mean ping?)"],
    [['ping', '--prt', '1'], "unknown option '--prt'\n(Did you mean --port?)"],
    [['ping', '--port', 'many'], 'It must be a whole number, 0 to 65535.'],
    [['ping', 'more'], 'too many arguments'],
    [['worker', '--grace', 'soon'], 'It must be a time, such as 500ms, 10s or 2m.'],
    [['worker', '--module', 'none.js'], "there is no module 'none.js'"],
    [['worker', '--discovery', 'pigeons'], 'names no discovery.\n\nDiscoveries:\n  local:NAME'],
    [['worker', '--discovery', 'local:../up'], '--discovery local:../up: A namespace has'],
    [['worker', '--discovery', 'dns:name:port'], 'it must be dns:HOST:PORT'],
    [['worker', '--tag', ''], 'tags'],
    [['run', 'routines.js'], "missing required argument 'routine'"],
    [['run', 'none.js', 'add'], "there is no module 'none.js': neither the file"],
    [['run', 'routines.js', 'sum', '1'], "there is no routine 'sum' in routines.js: it has add, "],
    [['run', 'routines.js', 'greet', 'you'], `argument 1 is no JSON: you (`],
    [['run', 'routines.js', 'greet', 'you'], `For a text write '"you"'`],
    [['run', 'routines.js', 'add', '--port', '1', '--discovery', 'lan'], 'give either'],
  ])('%j', async (args, message) => {
    const { code, out, err } = await result(args, { cwd });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^error: /);
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
  });
});

describe('skein run', () => {
  test.each([
    [['add', '1', '-2'], '-1\n'],
    [['greet', '"you"'], 'hello, you\n'],
    [['same', '{"a":[1,"b"]}'], "{ a: [ 1, 'b' ] }\n"],
    [['same', '{"a":[1,"b"]}', '--json'], '{"a":[1,"b"]}\n'],
    [['odd'], "Map(1) { 'a' => 1n }\n"],
    [['nothing'], ''],
    [['nothing', '--json'], 'null\n'],
    [['squares', '3'], '0\n1\n4\n'],
  ])('%j prints what it gives', async (args, printed) => {
    const { code, out, err } = await run(...args);
    const others = err.replace(/^\[\w{8}\] .*\n/gm, '');
    expect({ code, out, others }).toEqual({ code: 0, out: printed, others: '' });
  });

  test('shows what the worker prints, with its name, beside the output', async () => {
    const { out, err } = await run('greet', '"you"', '--json');
    expect(out).toBe('"hello, you"\n');
    expect(err).toMatch(/^\[\w{8}\] greeting you\n$/);
  });

  test('says what the routine throws, and where', async () => {
    const { code, out, err } = await run('fail');
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(
      /^error: RangeError: too far\n +at fail \(.*routines\.js.*\n +at fail \(worker \w+\)\n$/,
    );
  });

  test('says when the worker dies, and when it takes too long', async () => {
    const [crashed, late, slow] = await Promise.all([
      run('crash'),
      run('wait', '"late"', '60000', '--timeout', '300ms'),
      run('ticks', '10', '--timeout', '1s'),
    ]);
    expect(slow).toMatchObject({
      code: 1,
      err: expect.stringContaining('within 1000 ms'),
    });
    expect(crashed).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^error: worker .* lost/),
    });
    expect(late).toMatchObject({ code: 1, err: expect.stringContaining('within 300 ms') });
  });

  test('says what can’t be JSON', async () => {
    const { code, err } = await run('big', '--json');
    expect(code).toBe(1);
    expect(err).toMatch(/^error: what it gave can't be JSON: .*BigInt/);
  });

  test('ends a generator when nobody reads on', async () => {
    const { child, ended, err } = skein(['run', 'routines.js', 'squares', '1000000'], { cwd });
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await ended).toBe(0);
    expect(err()).toBe('');
  });

  test('aborts the call with Ctrl-C', async () => {
    const file = trace(cwd);
    const args = ['run', 'routines.js', 'wait', JSON.stringify(file.path), '60000'];
    const { child, ended, says } = skein(args, { cwd });
    await file.has('began');
    child.kill('SIGINT');
    await says(/SIGINT: the call is aborted; a second signal ends it at once/);
    expect(await ended).toBe(130);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('aborts a generator with %s', async (signal, code) => {
    const { child, ended, says } = skein(['run', 'routines.js', 'ticks', '10'], { cwd });
    await says(/^3$/m);
    child.kill(signal);
    expect(await ended).toBe(code);
  });

  test('ends with Ctrl-C while its worker starts, which is no failure', async () => {
    const file = trace(cwd);
    const slow = `import { appendFileSync } from 'node:fs';
      if (process.send) {
        appendFileSync(${JSON.stringify(file.path)}, 'began ' + process.pid + '\\n');
        setInterval(() => {}, 60_000);
        await new Promise(() => {});
      }`;
    writeFileSync(join(cwd, 'slow.mjs'), slow);
    const env = { NODE_OPTIONS: '--import ./slow.mjs' };
    const { child, ended, err } = skein(['run', 'routines.js', 'add', '1', '2'], { cwd, env });
    await file.has('began');
    // As a terminal does, which tells all processes of a command.
    child.kill('SIGINT');
    process.kill(Number(file.lines[0]?.split(' ')[1]), 'SIGINT');
    expect(await ended).toBe(130);
    expect(err()).not.toContain('error:');
  });

  test('loads TypeScript by tsx where that is installed', async () => {
    symlinkSync(join(ROOT, 'node_modules/tsx'), join(cwd, 'node_modules/tsx'));
    writeFileSync(join(cwd, 'typed.ts'), TYPED);
    const { code, out, err } = await result(['run', 'typed.ts', 'next', '1'], { cwd });
    expect({ code, out, err }).toEqual({ code: 0, out: '2\n', err: '' });
  });

  test('says that a module does not load', async () => {
    writeFileSync(join(cwd, 'broken.js'), "throw new Error('out of order');");
    const { code, err } = await result(['run', 'broken.js', 'add'], { cwd });
    expect(code).toBe(1);
    const [said, ...frames] = err.trimEnd().split('\n');
    expect(said).toBe('error: the module broken.js does not load: Error: out of order');
    expect(frames).toEqual([expect.stringMatching(/^ +at .*\/broken\.js:1:7$/)]);
  });

  test('says that no pool is there', async () => {
    const port = await freePort();
    const { code, err } = await run('add', '1', '2', '--port', `${port}`);
    expect(code).toBe(1);
    expect(err).toContain(`No pool answers at tcp://127.0.0.1:${port}: connect ECONNREFUSED`);
  });
});

describe('an authkey', () => {
  const KEY = 'a key that is long enough';
  const ping = (...args: string[]) =>
    result(['ping', '--port', '1', '--authkey', ...args], { cwd });

  test('is no argument: one that is given so is not shown', async () => {
    const { code, err } = await ping(KEY);
    expect(code).toBe(2);
    expect(err).toMatch(/takes the path of a file .* \(ENOENT\)/);
    expect(err).not.toContain(KEY);
  });

  test('must not be empty', async () => {
    writeFileSync(join(cwd, 'empty'), '\n', { mode: 0o600 });
    const said = expect.stringContaining('is empty');
    expect(await ping('empty')).toMatchObject({ code: 2, err: said });
    const env = { SKEIN_AUTHKEY: '' };
    expect(await result(['ping'], { cwd, env })).toMatchObject({ code: 2, err: said });
    const piped = { cwd, input: '' };
    expect(await result(['ping', '--authkey', '-'], piped)).toMatchObject({ code: 2, err: said });
  });

  test('must be in a file that can be read', async () => {
    mkdirSync(join(cwd, 'folder'));
    const said = expect.stringContaining('(EISDIR)');
    expect(await ping('folder')).toMatchObject({ code: 2, err: said });
  });

  test('in a file that everybody can read is warned of', async () => {
    writeFileSync(join(cwd, 'open'), KEY);
    chmodSync(join(cwd, 'open'), 0o644);
    const warned =
      'warning: every user of this machine can read the authkey file open: chmod 600 open';
    expect((await ping('open')).err).toContain(warned);
    chmodSync(join(cwd, 'open'), 0o600);
    expect((await ping('open')).err).not.toContain('warning');
  });

  test('is not in the environment of workers', async () => {
    const env = { SKEIN_AUTHKEY: KEY };
    const { out } = await result(['run', 'routines.js', 'secret'], { cwd, env });
    expect(out).toBe('none\n');
  });
});
