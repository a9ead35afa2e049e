/** The connection to real servers of NATS: who is let in, and what becomes of it when a server goes. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Bus } from '../../src/nats/bus.ts';
import type { NatsOptions } from '../../src/nats/options.ts';
import { moduleUrl, rejection, runScript, scratchFolder, until } from './helpers.ts';
import {
  Authority,
  type Certificate,
  fileIn,
  makeNkey,
  noCertificates,
  Operator,
} from './nats-credentials.ts';
import { type NatsServer, noNats, startNats, startNatsCluster } from './nats-server.ts';

const folder = scratchFolder();

/** A bus with one user, until the end of the test, and what it tells. */
async function openBus(options: NatsOptions) {
  const bus = new Bus(options);
  const told: string[] = [];
  bus.watch({
    up: () => told.push('up'),
    down: () => told.push('down'),
    refused: (subject) => told.push(`refused ${subject}`),
  });
  await bus.open();
  onTestFinished(() => bus.close());
  return { bus, told };
}

/** What `open` rejects with. */
async function problem(options: NatsOptions): Promise<string> {
  const error = await rejection(new Bus(options).open());
  expect(error).toBeInstanceOf(Error);
  return (error as Error).message;
}

/** Whether a message comes back. */
async function works(bus: Bus): Promise<boolean> {
  return await new Promise((resolve) => {
    const leave = bus.subscribe('echo', () => {
      leave();
      resolve(true);
    });
    if (!bus.publish('echo', Buffer.from('?'))) resolve(false);
  });
}

const warnings: string[] = [];
const warned = ({ name, message }: Error) => {
  if (name === 'SkeinNatsWarning') warnings.push(message);
};
const printing = process.listeners('warning');
beforeAll(() => {
  process.removeAllListeners('warning').on('warning', warned);
});
afterAll(() => {
  process.off('warning', warned);
  for (const listener of printing) process.on('warning', listener);
});
afterEach(() => {
  warnings.length = 0;
});

describe.skipIf(noNats !== undefined)('a bus', () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats({ maxPayload: 100_000 });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('carries messages, and knows how long they may be', async () => {
    const { bus, told } = await openBus({ servers: server.url });
    expect(told).toEqual(['up']);
    expect(bus.maxPayload).toBe(100_000);
    const taken: unknown[] = [];
    const leave = bus.subscribe('a.*', ({ subject, data, status }) => {
      taken.push([subject, Buffer.from(data).toString(), status]);
    });
    bus.publish('a.b', Buffer.from('one'));
    bus.publish('a.c', Buffer.alloc(0));
    await bus.flush();
    leave();
    bus.publish('a.b', Buffer.from('two'));
    await bus.flush();
    expect(taken).toEqual([
      ['a.b', 'one', 0],
      ['a.c', '', 0],
    ]);
    expect(() => bus.publish('a.b', Buffer.alloc(100_001))).toThrow('max_payload');
  });

  test('tells with status 503 that nobody hears a message', async () => {
    const { bus } = await openBus({ servers: server.url });
    const taken: unknown[] = [];
    bus.subscribe('answers', ({ status, data }) => taken.push([status, data.length]));
    bus.publish('nobody', Buffer.from('x'), 'answers');
    await until(() => expect(taken).toEqual([[503, 0]]));
  });

  test('is shared: the last of its users closes it', async () => {
    const bus = new Bus({ servers: server.url });
    await Promise.all([bus.open(), bus.open(), bus.open()]);
    bus.close();
    bus.close();
    expect(await works(bus)).toBe(true);
    bus.close();
    await until(() => expect(bus.connected).toBe(false));
    expect(bus.publish('a', Buffer.from('x'))).toBe(false);
    await bus.open();
    expect(await works(bus)).toBe(true);
    bus.close();
  });

  test('connects anew for who comes when an attempt was given up that is still under way', async () => {
    let silent = false;
    const sockets: Socket[] = [];
    const proxy = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      if (silent) return;
      const real = connect(server.port, '127.0.0.1');
      real.on('error', () => {});
      socket.pipe(real).pipe(socket);
    }).listen(0, '127.0.0.1');
    onTestFinished(() => {
      proxy.close();
      for (const socket of sockets) socket.destroy();
    });
    await once(proxy, 'listening');
    const bus = new Bus({ servers: `127.0.0.1:${(proxy.address() as AddressInfo).port}` });
    await bus.open();
    silent = true;
    sockets[0]?.destroy();
    // It waits for the first word of the server.
    await until(() => expect(sockets).toHaveLength(2));
    bus.close();
    silent = false;
    await bus.open();
    expect(await works(bus)).toBe(true);
    bus.close();
  });

  test('goes on when one that takes a message throws', async () => {
    const { bus } = await openBus({ servers: server.url });
    const uncaught = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    onTestFinished(() => {
      for (const listener of uncaught) process.on('uncaughtException', listener);
    });
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
    bus.subscribe('a', () => {
      throw new Error('of the handler');
    });
    bus.publish('a', Buffer.from('x'));
    expect(await thrown).toMatchObject({ message: 'of the handler' });
    expect(await works(bus)).toBe(true);
  });

  test('says that nobody is there, and that somebody else is', async () => {
    expect(await problem({ servers: 'nats://127.0.0.1:1' })).toBe(
      'no NATS server answers at 127.0.0.1:1: connection refused',
    );
    expect(await problem({ servers: 'nats://nats.invalid:4222' })).toMatch(
      /^no NATS server answers at nats.invalid:4222: /,
    );
    await using other = await speaking('SSH-2.0-OpenSSH_9.2p1\r\n');
    expect(await problem({ servers: other.url })).toBe(
      `what listens at 127.0.0.1:${other.port} is no NATS server`,
    );
    expect(await problem({ servers: ['127.0.0.1:1', other.url] })).toMatch(
      /connection refused.*no NATS server|no NATS server.*connection refused/,
    );
  });

  test('does not wait for a server that says nothing where another one answers', async () => {
    await using silent = await speaking('');
    // They are tried in any order.
    const servers = [silent.url, server.url];
    const opened = await Promise.all([1, 2, 3, 4].map(() => openBus({ servers })));
    for (const { bus } of opened) expect(await works(bus)).toBe(true);
  });
});

/** What listens on a port, and is no server of NATS. */
async function speaking(words: string) {
  const sockets = new Set<{ destroy(): void }>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (words !== '') socket.write(words);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

describe.skipIf(noNats !== undefined)('who is let in', () => {
  const refused = (message: string) => expect(message).toMatch(/lets this process not in: /);

  test('a user with a password', async () => {
    await using server = await startNats({
      config: 'authorization { users: [{ user: "a b", password: "p:w" }] }',
    });
    const { bus } = await openBus({ servers: server.url, user: 'a b', pass: 'p:w' });
    expect(await works(bus)).toBe(true);
    const inUrl = server.url.replace('//', '//a%20b:p%3Aw@');
    expect(await works((await openBus({ servers: inUrl })).bus)).toBe(true);
    refused(await problem({ servers: server.url, user: 'a b', pass: 'hunter2' }));
    const without = await problem({ servers: server.url });
    refused(without);
    expect(without).toMatch(/It wants a login/);
    const wrong = await problem({ servers: server.url.replace('//', '//x:hunter2@') });
    refused(wrong);
    expect(wrong).not.toMatch(/hunter2/);
  });

  test('a token', async () => {
    await using server = await startNats({ config: 'authorization { token: "secret" }' });
    expect(await works((await openBus({ servers: server.url, token: 'secret' })).bus)).toBe(true);
    const inUrl = server.url.replace('//', '//secret@');
    expect(await works((await openBus({ servers: inUrl })).bus)).toBe(true);
    refused(await problem({ servers: server.url, token: 'other' }));
  });

  test('an nkey', async () => {
    const { seed, publicKey } = makeNkey();
    await using server = await startNats({
      config: `authorization { users: [{ nkey: ${publicKey} }] }`,
    });
    expect(await works((await openBus({ servers: server.url, nkey: seed })).bus)).toBe(true);
    refused(await problem({ servers: server.url, nkey: makeNkey().seed }));
    const damaged = `${seed.slice(0, -2)}${seed.endsWith('AA') ? 'BB' : 'AA'}`;
    expect(await problem({ servers: server.url, nkey: damaged })).toBe('nkey is damaged');
  });

  test('a credentials file, which is read again at each connect', async () => {
    const operator = new Operator();
    await using server = await startNats({ config: operator.config });
    const credentials = fileIn(folder, 'user.creds', operator.credentials());
    const { bus, told } = await openBus({ servers: server.url, credentials });
    expect(await works(bus)).toBe(true);
    const other = new Operator();
    fileIn(folder, 'user.creds', other.credentials());
    await server.restart({ config: other.config });
    await until(() => expect(told).toEqual(['up', 'down', 'up']));

    fileIn(folder, 'user.creds', operator.credentials());
    refused(await problem({ servers: server.url, credentials }));
    fileIn(folder, 'user.creds', 'hunter2');
    const none = await problem({ servers: server.url, credentials });
    expect(none).toBe(
      `${credentials} is no credentials file of NATS: it has no JWT and seed of a user`,
    );
    expect(await problem({ servers: server.url, credentials: '/none.creds' })).toBe(
      'credentials of NATS is /none.creds: there is no such file',
    );
  });

  test('permissions: what they refuse, is said once a minute', async () => {
    await using server = await startNats({
      config: `authorization { users: [{ user: u, password: p, permissions: {
        publish: ["mine.>", "echo"], subscribe: ["mine.>", "echo"] } }] }`,
    });
    const { bus, told } = await openBus({ servers: server.url, user: 'u', pass: 'p' });
    const refused: string[] = [];
    bus.subscribe(
      'theirs.a',
      () => {},
      (why) => refused.push(why),
    );
    bus.subscribe('theirs.b', () => {});
    bus.subscribe('theirs.c', () => {});
    await until(() => expect(refused).toEqual([expect.stringContaining('subscribe to theirs.*')]));
    bus.publish('theirs.a.secret', Buffer.from('x'));
    bus.publish('theirs.b.secret', Buffer.from('x'));
    bus.publish('mine.a', Buffer.from('x'));
    await bus.flush();
    expect(await works(bus)).toBe(true);
    expect(told).toEqual(['up', 'refused theirs.a.secret', 'refused theirs.b.secret']);
    await until(() => expect(warnings).toHaveLength(2));
    const next =
      'check that identity (u) and cluster (default) are those of its permissions; see docs/nats.md';
    expect(warnings).toEqual([
      `the permissions of the NATS server don't let this process subscribe to theirs.*: ${next}`,
      `the permissions of the NATS server don't let this process publish on theirs.a.*: ${next}`,
    ]);
  });
});

describe.skipIf(noNats !== undefined || noCertificates !== undefined)('TLS', () => {
  let authority: Authority;
  let client: Certificate;
  let server: NatsServer;
  beforeAll(async () => {
    authority = new Authority(folder, 'ca');
    const { certFile, keyFile } = authority.certify('server', 'DNS:localhost', 'IP:127.0.0.1');
    client = authority.certify('client');
    server = await startNats({
      config: `tls { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${authority.caFile}", verify: true }`,
    });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('lets in who shows a certificate, by a name and by an address', async () => {
    const { caFile } = authority;
    const { cert, key, certFile, keyFile } = client;
    const byFiles = { caFile, certFile, keyFile };
    expect(await works((await openBus({ servers: server.url, tls: byFiles })).bus)).toBe(true);
    const byTexts = { caFile, cert, key };
    const servers = `tls://localhost:${server.port}`;
    expect(await works((await openBus({ servers, tls: byTexts })).bus)).toBe(true);
    const named = { ...byTexts, servername: 'localhost' };
    expect(await works((await openBus({ servers: server.url, tls: named })).bus)).toBe(true);
  });

  test('says what is wrong', async () => {
    const { certFile, keyFile } = client;
    const { caFile } = authority;
    const tls = { caFile, certFile, keyFile };
    const servers = server.url;
    expect(await problem({ servers, tls: { caFile } })).toMatch(/It may want a certificate/);
    expect(await problem({ servers, tls: { certFile, keyFile } })).toMatch(
      /^TLS with .* Check tls/,
    );
    expect(await problem({ servers })).toMatch(/It has TLS: give tls/);
    expect(await problem({ servers, tls: { ...tls, servername: 'other.example' } })).toMatch(
      /other\.example.* as servername$/,
    );
    const other = new Authority(folder, 'other');
    const wrong = { ...tls, caFile: other.caFile };
    expect(await problem({ servers, tls: wrong })).toMatch(/^TLS with .* failed: .*certificate/);
    expect(await problem({ servers, tls: { caFile: '/none.pem' } })).toBe(
      'tls.caFile of NATS is /none.pem: there is no such file',
    );
    await using plain = await startNats();
    expect(await problem({ servers: plain.url.replace('nats:', 'tls:') })).toMatch(/has no TLS/);
  });
});

describe.skipIf(noNats !== undefined)('a server that goes', () => {
  test('killed, and started again: subscriptions are there again', async () => {
    await using server = await startNats();
    const { bus, told } = await openBus({ servers: server.url });
    const taken: string[] = [];
    bus.subscribe('a', ({ data }) => taken.push(Buffer.from(data).toString()));
    await bus.flush();
    server.pause();
    // It may answer a little longer.
    while (await Promise.race([bus.flush().then(() => true), sleep(50, false)]));
    const flushing = rejection(bus.flush());
    await server.kill();
    expect(await flushing).toMatchObject({ message: expect.stringMatching(/is lost/) });
    await until(() => expect(told).toEqual(['up', 'down']));
    expect(bus.connected).toBe(false);
    expect(bus.publish('a', Buffer.from('lost'))).toBe(false);
    // Who comes now, is told at once.
    const error = await rejection(bus.open());
    expect(error).toMatchObject({ message: expect.stringMatching(/connection refused/) });
    await server.restart();
    await until(() => expect(told).toEqual(['up', 'down', 'up']));
    bus.publish('a', Buffer.from('found'));
    await until(() => expect(taken).toEqual(['found']));
    bus.close();
  });

  test('back with another password: it is tried again and again, and said', async () => {
    const config = (password: string) =>
      `authorization { users: [{ user: u, password: ${password} }] }`;
    await using server = await startNats({ config: config('first') });
    const { bus, told } = await openBus({ servers: server.url, user: 'u', pass: 'first' });
    await server.restart({ config: config('second') });
    await until(() =>
      expect(warnings).toEqual([expect.stringMatching(/lets this process not in/)]),
    );
    expect(warnings[0]).not.toMatch(/first/);
    await server.restart({ config: config('first') });
    await until(() => expect(told).toEqual(['up', 'down', 'up']));
    expect(await works(bus)).toBe(true);
  });

  test.concurrent('stopped without a word: it is noticed, and another one is found', async () => {
    await using server = await startNats();
    await using other = await startNats();
    const bus = new Bus({ servers: [server.url, other.url], goneAfter: 500 });
    await bus.open();
    let downs = 0;
    bus.watch({
      down: () => {
        downs += 1;
      },
    });
    server.pause();
    other.pause();
    await until(() => expect(downs).toBe(1));
    other.resume();
    await until(() => expect(bus.connected).toBe(true));
    server.resume();
    bus.close();
  });

  test.concurrent('one of a cluster: the others are known from it', async () => {
    const servers = await startNatsCluster(3);
    const [first, second, third] = servers as [NatsServer, NatsServer, NatsServer];
    const bus = new Bus({ servers: first.url });
    const taken: string[] = [];
    let ups = 0;
    bus.watch({
      up: () => {
        ups += 1;
      },
    });
    await bus.open();
    bus.subscribe('a', ({ data }) => taken.push(Buffer.from(data).toString()));
    await first.kill();
    await until(() => expect(ups).toBe(2));
    await second.kill();
    await until(() => expect(bus.connected && ups >= 2).toBe(true));
    const elsewhere = new Bus({ servers: third.url });
    await elsewhere.open();
    await until(() => {
      elsewhere.publish('a', Buffer.from('x'));
      expect(taken.length).toBeGreaterThan(0);
    });
    bus.close();
    elsewhere.close();
    for (const server of servers) await server[Symbol.asyncDispose]();
  });

  test.concurrent('about to stop: it is left before', async () => {
    const servers = await startNatsCluster(2);
    const [first] = servers as [NatsServer, NatsServer];
    const bus = new Bus({ servers: first.url });
    const told: string[] = [];
    await bus.open();
    bus.watch({ up: () => told.push('up'), down: ({ message }) => told.push(message) });
    first.signal('SIGUSR2');
    await until(() => expect(told).toEqual([expect.stringMatching(/about to stop/), 'up']));
    expect(await works(bus)).toBe(true);
    bus.close();
    for (const server of servers) await server[Symbol.asyncDispose]();
  });

  test.concurrent('for long: it is said once, and when it is back', async () => {
    const said: string[] = [];
    const listener = ({ message }: Error) => {
      if (/again and again|there is a connection/.test(message)) said.push(message);
    };
    process.on('warning', listener);
    await using server = await startNats();
    const bus = new Bus({ servers: server.url });
    await bus.open();
    await server.kill();
    const ofThis = () => said.filter((text) => text.includes(`:${server.port}`));
    await until(() => expect(ofThis()).toHaveLength(1));
    await server.restart();
    await until(() =>
      expect(ofThis().slice(1)).toEqual([expect.stringMatching(/ again, after \d+ s$/)]),
    );
    process.off('warning', listener);
    bus.close();
  });

  describe.concurrent('a process', () => {
    const bus = JSON.stringify(moduleUrl('../src/nats/bus.ts'));
    const script = (name: string, code: string) => {
      const main = `async function main() { const { Bus } = await import(${bus});\n${code}\n}\nvoid main();`;
      return runScript(fileIn(folder, name, main));
    };

    test('is held by those who ask for it alone, also while the server is gone', async () => {
      await using server = await startNats();
      const { child, stdout, ended } = script(
        'held.ts',
        `const bus = new Bus({ servers: '${server.url}' });
       await bus.open();
       bus.subscribe('a', () => {});
       const release = bus.hold();
       bus.watch({ down: () => setTimeout(() => { console.log('released'); release(); }, 300).unref() });
       console.log('open');`,
      );
      await until(() => expect(stdout()).toMatch(/open/));
      await server.kill();
      expect(await ended).toBe(0);
      expect(stdout()).toBe('open\nreleased\n');
      expect(child.exitCode).toBe(0);
    });

    test('ends beside a connection that nobody closed, and one that does not come up', async () => {
      await using server = await startNats();
      await using silent = await speaking('');
      const { stdout, ended } = script(
        'open.ts',
        `const bus = new Bus({ servers: '${server.url}' });
       await bus.open();
       bus.subscribe('a', () => {});
       const other = new Bus({ servers: '${silent.url}' });
       await other.open().catch(({ message }) => console.log(message));`,
      );
      expect(await ended).toBe(0);
      expect(stdout()).toBe(
        `the NATS server at 127.0.0.1:${silent.port} did not answer within 5 s\n`,
      );
    });
  });
});
