/** Workers that find each other between hosts. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnnouncedWorker, DiscoveryEventType } from '../../src/discovery/discovery.ts';
import { privateGroup } from '../unit/discovery/lan-group.ts';
import { ROOT, runScript, type Script, scratchFolder, until } from './helpers.ts';
import { type Host, Hosts, noHosts } from './hosts.ts';

const impossible = noHosts();
if (impossible !== undefined) console.warn(`The tests between hosts are left out: ${impossible}`);

let hosts: Hosts<'a' | 'b' | 'c'>;

/** A program that announces and looks; see `fixtures/on-lan.ts`. */
class Program {
  readonly host: Host;
  readonly #script: Script;

  constructor(host: Host) {
    this.host = host;
    const file = join(ROOT, 'test/fixtures/on-lan.ts');
    this.#script = host.run(file, [], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  }

  /** What it was told, of those workers whose uids begin like this. */
  told(uid: string): string[] {
    const lines = this.#script.stdout().split('\n');
    return lines.filter((line) => line.split(' ')[1]?.startsWith(uid));
  }

  get warnings(): string {
    return this.#script.stderr();
  }

  async tells(uid: string, expected: string[]): Promise<void> {
    await until(() => {
      expect(this.told(uid), this.warnings).toEqual(expected);
    });
  }

  async publish(event: DiscoveryEventType, uid: string, fields: Partial<AnnouncedWorker> = {}) {
    const { child } = this.#script;
    const address = 'tcp://0.0.0.0:4000';
    child.send([event, { uid, address, pid: 1, host: 'test', version: '1', ...fields }]);
    await once(child, 'message');
  }

  async end(): Promise<void> {
    this.#script.child.kill('SIGKILL');
    await this.#script.ended;
  }
}

describe.skipIf(impossible !== undefined)('between hosts', () => {
  let [a, b, c] = [] as unknown as [Program, Program, Program];

  beforeAll(async () => {
    // c is a neighbour of b alone.
    hosts = await Hosts.make({ a: ['left'], b: ['left', 'right'], c: ['right'] });
    [a, b, c] = (['a', 'b', 'c'] as const).map((name) => new Program(hosts.get(name))) as [
      Program,
      Program,
      Program,
    ];
  });

  afterAll(async () => {
    await hosts?.[Symbol.asyncDispose]();
  });

  test('a worker is found, changes and goes', async () => {
    const address = `tcp://${a.host.address}:4000`;
    await a.publish('worker-added', 'w1');
    await b.tells('w1', [`added w1 ${address}`]);
    await a.publish('worker-updated', 'w1', { tags: ['gpu'] });
    await b.tells('w1', [`added w1 ${address}`, `updated w1 ${address} gpu`]);
    await a.publish('worker-dropped', 'w1');
    await until(() => expect(b.told('w1').at(-1)).toBe(`dropped w1 ${address} gpu`));
    expect(c.told('w1')).toEqual([]);
  });

  test('a worker of two networks is found in each at its address there', async () => {
    await b.publish('worker-added', 'w2');
    await a.tells('w2', [`added w2 tcp://${b.host.addresses.left}:4000`]);
    await c.tells('w2', [`added w2 tcp://${b.host.addresses.right}:4000`]);
    await b.publish('worker-dropped', 'w2');
    await until(() => expect(a.told('w2')).toHaveLength(2));
    await until(() => expect(c.told('w2')).toHaveLength(2));
  });

  test('an address that its own host alone can reach is warned about, and left out', async () => {
    await a.publish('worker-added', 'w3', { address: 'tcp://127.0.0.1:4000' });
    await until(() => expect(a.warnings).toContain('worker w3 is announced to the network at 127'));
    await until(() => expect(b.warnings).toContain('address is one that its own machine alone'));
    await a.tells('w3', ['added w3 tcp://127.0.0.1:4000']);
    expect(b.told('w3')).toEqual([]);
  });

  test('a worker whose host is away for 10 s is dropped, and found again', async () => {
    const address = `tcp://${a.host.address}:4000`;
    const there = `tcp://${b.host.addresses.right}:4000`;
    await a.publish('worker-added', 'w4');
    await b.publish('worker-added', 'w5');
    await b.tells('w4', [`added w4 ${address}`]);
    await c.tells('w5', [`added w5 ${there}`]);
    a.host.cut();
    // It hears nobody, and knows that it is itself who is away.
    c.host.cut();
    const back = new Promise((resolve) => setTimeout(resolve, 10_000));
    await b.tells('w4', [`added w4 ${address}`, `dropped w4 ${address}`]);
    await a.publish('worker-added', 'w6');
    await back;
    a.host.mend();
    c.host.mend();
    await until(() => expect(b.told('w4').at(-1)).toBe(`added w4 ${address}`));
    await b.tells('w6', [`added w6 ${address}`]);
    await b.publish('worker-added', 'w7');
    await c.tells('w7', [`added w7 ${there}`]);
    expect(c.told('w5')).toEqual([`added w5 ${there}`]);
  });

  test('a worker that is killed is dropped within 10 s', async () => {
    const address = `tcp://${a.host.address}:4000`;
    await a.publish('worker-added', 'w8');
    await b.tells('w8', [`added w8 ${address}`]);
    await a.end();
    const start = performance.now();
    await b.tells('w8', [`added w8 ${address}`, `dropped w8 ${address}`]);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

test('what looks for workers and announces them keeps no process alive', async () => {
  const options = { group: privateGroup(), interfaces: ['127.0.0.1'] };
  const file = join(scratchFolder(), 'program.ts');
  writeFileSync(
    file,
    `import { LanDiscovery } from ${JSON.stringify(join(ROOT, 'src/discovery/adapters/lan.ts'))};
    const discovery = new LanDiscovery('app', ${JSON.stringify(options)});
    void discovery.subscribe()[Symbol.asyncIterator]().next();
    const published = discovery.publisher.publish('worker-added', {
      uid: 'a', address: 'tcp://127.0.0.1:1', pid: process.pid, host: 'here', version: '1',
    });
    void published.then(() => console.log('published'));`,
  );
  const script = runScript(file, [], { cwd: ROOT });
  expect(await script.ended, script.stderr()).toBe(0);
  expect(script.stdout()).toContain('published');
});
