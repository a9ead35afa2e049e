/** The command over a real NATS server. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, program, type Running, result, skein } from './cli-helpers.ts';
import { type NatsServer, noNats, startNats } from './nats-server.ts';

const cwd = program();

/** A namespace of NatsDiscovery that no other test has. */
const namespace = () => `nats:cli-${randomBytes(6).toString('hex')}`;

describe.skipIf(noNats !== undefined)('over NATS', () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function worker(...args: string[]): Promise<Running & { line: string }> {
    const running = skein(['worker', '--nats', server.url, ...args], { cwd });
    const [line] = await running.says(/listens at .*$/m);
    return { ...running, line };
  }

  test('a worker is found, called and ended, and listens on no port', async () => {
    const where = namespace();
    const { child, line, ended, err } = await worker('--discovery', where, '--tag', 'gpu');
    expect(line).toMatch(
      new RegExp(`^listens at nats://default/anyone/[\\w-]+, found by ${where}$`),
    );
    const sum = await result(
      ['run', 'routines.js', 'add', '1', '2', '--discovery', where, '--tag', 'gpu'],
      { cwd, env: { SKEIN_NATS: server.url } },
    );
    expect(sum).toEqual({ code: 0, out: '3\n', err: '' });
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
    expect(err()).not.toContain('warning');
  });

  test('a worker with a host is reached both ways', async () => {
    const args = ['worker', '--nats', server.url, '--host', '127.0.0.1', '--cluster', 'c1'];
    const { child, says } = skein([...args, '--json'], { cwd });
    const [line] = await says(/^\{.*\}$/m);
    expect(JSON.parse(line)).toMatchObject({
      address: expect.stringMatching(/^tcp:/),
      alternatives: [expect.stringMatching(/^nats:\/\/c1\/anyone\//)],
    });
    child.kill('SIGTERM');
  });

  test('a durable pool has workers that are reached over NATS', async () => {
    const port = `${await freePort()}`;
    const env = { SKEIN_NATS: server.url };
    const args = ['--port', port, '--breadth', '2', '--identity', 'gpu'];
    const up = skein(['pool', 'up', ...args], { cwd, env });
    await up.says(/^pool with 2 workers answers at/m);
    const { out } = await result(['pool', 'ls', '--json', '--port', port], { cwd });
    const address = expect.stringMatching(/^nats:\/\/default\/gpu\//);
    expect(JSON.parse(out)).toEqual([
      expect.objectContaining({ address, stalled: false }),
      expect.objectContaining({ address, stalled: false }),
    ]);
    const called = ['run', 'routines.js', 'squares', '3', '--port', port];
    expect(await result(called, { cwd, env })).toEqual({ code: 0, out: '0\n1\n4\n', err: '' });
    // Who is not told of the servers learns that, and does not wait for workers that come.
    const { code, err } = await result(called, { cwd });
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^error: .*reached.*: give --nats URL$/m),
    ]);
    expect(err).not.toContain('refused the link');
    const down = await result(['pool', 'down', '--port', port], { cwd });
    expect(down.code).toBe(0);
    expect(await up.ended).toBe(0);
  });

  test('tasks do not see how NATS is reached', async () => {
    const where = namespace();
    const env = { SKEIN_NATS: server.url };
    const { child, says } = skein(['worker', '--discovery', where], { cwd, env });
    await says(/listens at nats:/);
    const args = ['run', 'routines.js', 'environment', '"SKEIN_NATS"', '--discovery', where];
    expect((await result(args, { cwd, env })).out).toBe('none\n');
    child.kill('SIGTERM');
  });

  test('a login on the command line is warned of, and never printed', async () => {
    const url = server.url.replace('nats://', 'nats://alice:s3cret@');
    const { child, says, out, err } = skein(['worker', '--nats', url], { cwd });
    await says(/listens at nats:\/\/default\/alice\//);
    expect(err()).toContain('the login in --nats shows in the list of processes');
    expect(out() + err()).not.toContain('s3cret');
    child.kill('SIGTERM');
  });
});

describe('what can not be', () => {
  test.each([
    [['worker', '--discovery', 'nats:x'], '--discovery nats:x needs --nats'],
    [['run', 'routines.js', 'add', '1', '2', '--nats', 'here'], 'give --discovery nats:NAME'],
  ])('%j is refused with the reason', async (args, said) => {
    const { code, err } = await result(args, { cwd });
    expect([code, err]).toEqual([2, expect.stringContaining(said)]);
  });

  test.each([['worker'], ['run', 'routines.js', 'add', '1', '2', '--discovery', 'nats:x']])(
    'a server that is not there is named, at once: %s',
    async (...args) => {
      const port = await freePort();
      const { code, err } = await result([...args, '--nats', `127.0.0.1:${port}`], { cwd });
      const said = `no NATS server answers at 127.0.0.1:${port}: connection refused\n`;
      expect([code, err]).toEqual([1, expect.stringMatching(new RegExp(`^error: .*${said}$`))]);
    },
  );
});
