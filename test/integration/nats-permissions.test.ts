/**
 * The accounts of examples/nats/nats-server.conf: what each may do, and what it may not. The strangers are
 * accounts of the same kinds with other names, as the file tells to add them.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from './helpers.ts';
import { type NatsServer, noNats, program, startNats } from './nats-server.ts';

const FILE = join(ROOT, 'examples/nats/nats-server.conf');
const PASSWORDS = { GPU_PASSWORD: 'p-gpu', ALICE_PASSWORD: 'p-alice', OPS_PASSWORD: 'p-ops' };

/** The same, with a stranger for each user, on a port that the test chooses. */
function withStrangers(config: string): string {
  const strangers = { gpu: 'cpu', alice: 'mallory' };
  const users = Object.entries(strangers).map(([user, stranger]) => {
    const [block] = new RegExp(`\\{\\s+user: ${user}\\n.*?\\n {4}\\}`, 's').exec(config) ?? [];
    if (block === undefined) throw new Error(`there is no user ${user}`);
    return block.replace(/\$\w+/, `"p-${stranger}"`).replaceAll(user, stranger);
  });
  const variables = Object.entries(PASSWORDS).map(([name, value]) => `${name}: "${value}"\n`);
  const file = config.replace(/^listen:.*/m, variables.join(''));
  return file.replace('users: [', `users: [\n${users.join('\n')}`);
}

let server: NatsServer;

describe.skipIf(noNats !== undefined)('on a server with confined accounts', () => {
  beforeAll(async () => {
    server = await startNats({ config: withStrangers(readFileSync(FILE, 'utf8')) });
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test('the file is one that the server takes', () => {
    const env = { ...process.env, ...PASSWORDS };
    const { stderr, status } = spawnSync(program as string, ['-c', FILE, '-t'], {
      encoding: 'utf8',
      env,
    });
    expect({ stderr, status }).toEqual({ stderr: expect.stringContaining('is valid'), status: 0 });
  });

  /** What the server refuses of what an account tries, by its own words. */
  async function refusedTo(
    user: string,
    tried: (client: NatsConnection) => void,
  ): Promise<string[]> {
    const client = await connect({
      servers: server.url,
      user,
      pass: `p-${user}`,
      reconnect: false,
    });
    const refused: string[] = [];
    const watch = async () => {
      for await (const status of client.status()) {
        if (status.type === 'error') refused.push(String(status.error.message));
      }
    };
    const watching = watch();
    tried(client);
    await client.flush();
    await client.close();
    await watching;
    return refused.map((text) => text.replace(/^Permissions Violation for /, ''));
  }

  const worker = 'skein.default.worker.gpu.wid';

  test.each([
    ['call as another one', [`${worker}.link.alice.ch`, `${worker}.beat.alice.ch`]],
    ['stop a worker', [`${worker}.stop.mallory.ch`, `${worker}.halt.mallory.ch`]],
    ['have it that a caller is gone', [`${worker}.none.mallory.ch`]],
    ['answer in place of a worker', ['skein.default.caller.alice.gpu.ch']],
    ['answer as a worker', ['skein.default.caller.alice.mallory.ch']],
    ['announce a worker', ['gpu', 'mallory'].map((own) => `skein.default.announce.app.${own}.wid`)],
    ['ask as another one', ['skein.default.who.app.alice.ch']],
    ['speak in another cluster', ['skein.other.worker.gpu.wid.link.mallory.ch']],
  ])('a caller can not %s', async (_, subjects) => {
    const refused = await refusedTo('mallory', (client) => {
      for (const subject of subjects) client.publish(subject, 'forged');
    });
    expect(refused).toEqual(subjects.map((subject) => `Publish to "${subject}"`));
  });

  test.each([
    ['answers to others', ['skein.default.caller.alice.>', 'skein.default.caller.*.gpu.*']],
    ['calls', ['skein.default.worker.>', `${worker}.link.*.*`, 'skein.default.worker.mallory.>']],
    ['everything', ['>', 'skein.>', '*.*.*.*.*.*', '*.*.*.*.*.*.*.*']],
    ['who looks for workers', ['skein.default.who.>']],
  ])('a caller can not hear %s', async (_, subjects) => {
    const refused = await refusedTo('mallory', (client) => {
      for (const subject of subjects) client.subscribe(subject);
    });
    expect(refused).toEqual(subjects.map((subject) => `Subscription to "${subject}"`));
  });

  test('a worker can not answer or announce for one of another identity, or hear it', async () => {
    const refused = await refusedTo('cpu', (client) => {
      client.publish('skein.default.caller.alice.gpu.ch', 'forged');
      client.publish('skein.default.announce.app.gpu.wid', 'forged');
      client.publish(`${worker}.link.alice.ch`, 'forged');
      client.publish(`${worker}.stop.cpu.ch`, 'forged');
      client.subscribe('skein.default.worker.gpu.>');
      client.subscribe('skein.default.caller.alice.>');
    });
    expect(refused).toEqual([
      'Publish to "skein.default.caller.alice.gpu.ch"',
      'Publish to "skein.default.announce.app.gpu.wid"',
      `Publish to "${worker}.link.alice.ch"`,
      `Publish to "${worker}.stop.cpu.ch"`,
      'Subscription to "skein.default.worker.gpu.>"',
      'Subscription to "skein.default.caller.alice.>"',
    ]);
  });
});
