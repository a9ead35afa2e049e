/** What workers print, and what the runtime says of its own steps. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Logger, type PoolWorker, WorkerLost } from '../../src/index.ts';
import { ROOT, runScript, until, untilGone } from './helpers.ts';
import { complain, lastWords, leaveBehind, say } from './routines/talking.ts';
import { WorkerPool } from './runtime.ts';

const program = join(ROOT, 'test/fixtures/talking.ts');

interface Line {
  readonly level: string;
  readonly worker: string | undefined;
  readonly pid: number;
  readonly stream: string;
  readonly message: string;
}

function recorder() {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, ...(fields as Omit<Line, 'level' | 'message'>) });
  };
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  };
  return { logger, lines };
}

test.concurrent.each(['closes', 'ends', 'exits', 'throws'])(
  'a program that %s shows all lines of its workers, each with its worker',
  async (mode) => {
    const { ended, stdout, stderr } = runScript(program, [mode, '5000']);
    expect(await ended).toBe(mode === 'throws' ? 1 : 0);
    const lines = stdout().split('\n');
    const [prefix] = (lines[0] as string).split(' ');
    expect(prefix).toMatch(/^\[[0-9a-v]{8}\]$/);
    expect(lines.splice(0, 5_000).every((line) => line === `${prefix} one line`)).toBe(true);
    expect(lines).toEqual([`${prefix} no end`, '']);
    expect(stderr().split('\n')[0]).toBe(`${prefix} trouble`);
  },
);

test('a reader that goes away ends no program', async () => {
  const { child, ended, stderr } = runScript(program, ['closes', '30000']);
  child.stdout?.once('data', () => child.stdout?.destroy());
  expect(await ended).toBe(0);
  expect(stderr()).toMatch(/^\[\w+\] trouble\n$/);
});

describe('a logger', () => {
  test('gets what the workers print, with who it was and where', async () => {
    const { logger, lines } = recorder();
    const pool = await WorkerPool.open({ size: 1, logger });
    const [{ uid, pid }] = pool.workers as unknown as [{ uid: string; pid: number }];
    await pool.run(async () => {
      await say('hello\nwor');
      await say('ld\nlast');
      await complain('trouble');
    });
    await pool.close();
    const line = (message: string) => ({
      level: 'info',
      worker: uid,
      pid,
      stream: 'stdout',
      message,
    });
    expect(lines.filter(({ stream }) => stream === 'stdout')).toEqual(
      ['hello', 'world', 'last'].map(line),
    );
    expect(lines.filter(({ stream }) => stream === 'stderr')).toEqual([
      { ...line('trouble'), level: 'warn', stream: 'stderr' },
    ]);
  });

  test('gets the last lines of a worker that ends at once, also when they are many', async () => {
    const { logger, lines } = recorder();
    await using pool = await WorkerPool.open({ size: 1, logger });
    const call = pool.run(() => lastWords('a line of some length\n', 50_000));
    await expect(call).rejects.toThrow(WorkerLost);
    const printed = () => lines.filter(({ stream }) => stream !== undefined);
    await until(() => expect(printed().length).toBe(50_000));
  });

  test('does not wait for a process that a task has left behind', async () => {
    const { logger, lines } = recorder();
    const pool = await WorkerPool.open({ size: 1, logger });
    const pid = await pool.run(() => leaveBehind(1_500));
    await pool.close();
    expect(lines).toEqual([]);
    // What it prints later comes nevertheless.
    await until(() => expect(lines.map(({ message }) => message)).toEqual(['late']));
    await untilGone([pid]);
  });

  test('is told that a worker has died, and is replaced', async () => {
    const { logger, lines } = recorder();
    await using pool = await WorkerPool.open({ size: 1, logger });
    const { uid, pid } = pool.workers[0] as PoolWorker;
    process.kill(pid as number, 'SIGKILL');
    const message = 'a worker has ended (its process was ended by SIGKILL), and is replaced';
    await until(() => expect(lines).toEqual([{ level: 'info', worker: uid, message }]));
  });

  test('gets the warnings of the pool', async () => {
    const { logger, lines } = recorder();
    await using pool = await WorkerPool.open({ size: 1, logger, restarts: { limit: 0 } });
    process.kill(pool.workers[0]?.pid as number, 'SIGKILL');
    await until(() => expect(lines).toHaveLength(1));
    expect(lines[0]).toMatchObject({
      level: 'warn',
      type: 'SkeinWarning',
      message: expect.stringContaining('a worker is not replaced'),
    });
  });
});

describe('SKEIN_LOG', () => {
  const run = async (level: string, mode = 'closes') => {
    const env = { ...process.env, SKEIN_LOG: level };
    const { ended, stderr } = runScript(program, [mode, '1'], { env });
    expect(await ended).toBe(0);
    return stderr();
  };

  test('at info shows that a worker has died, and is replaced', async () => {
    expect(await run('info', 'kills')).toMatch(
      /^skein a worker has ended \(.*SIGKILL\), and is replaced$/m,
    );
  });

  test('at debug shows the steps of the pool and of its workers, but not each call', async () => {
    const log = await run('debug');
    expect(log).toMatch(/^skein pool: starting -> open \(started\)$/m);
    expect(log).toMatch(/^skein peer \w{8}: connecting -> ready \(up\)$/m);
    expect(log).toMatch(/^\[(\w{8})\] skein worker \1: serving -> draining/m);
    expect(log).not.toMatch(/call|execution/);
  });

  test('at trace shows the calls, too', async () => {
    const log = await run('trace');
    expect(log).toMatch(/^skein call \d+: .* -> done/m);
    expect(log).toMatch(/^\[\w{8}\] skein execution \d+: .* -> done/m);
  });
});
