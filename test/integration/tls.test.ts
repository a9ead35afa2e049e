/** Links and calls by TLS: who connects to whom, and what is said of who does not. */
import { once } from 'node:events';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  type AuthenticationError,
  stopWorker,
  WorkerCredentials,
  workerStatus,
} from '../../src/index.ts';
import { defaultPeerLimits } from '../../src/security/limits.ts';
import type { CertificateBytes } from '../../src/security/material.ts';
import { CredentialSource } from '../../src/security/source.ts';
import { type GrpcOptions, grpcTransport } from '../../src/transport/grpc.ts';
import type { Channel, CloseReason } from '../../src/transport/transport.ts';
import { startBeat } from '../../src/worker/beat.ts';
import { Authority, type Certificates } from './certificates.ts';
import { rejection, scratchFolder, until } from './helpers.ts';

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let authority: Authority;
let other: Authority;
/** Of the authority: for workers and callers on this machine. */
let good: Certificates;

beforeAll(async () => {
  [authority, other] = await Promise.all([Authority.make(), Authority.make()]);
  good = await authority.issue();
});

const ignore = () => {};
const sourceOf = (given: CertificateBytes) =>
  new CredentialSource(WorkerCredentials.fromBytes(given), { warn: ignore });
const transportOf = (given: CertificateBytes | undefined, options: GrpcOptions = {}) =>
  grpcTransport({ ...options, ...(given && { credentials: sourceOf(given) }) });

/** One end of a channel, and all that it is told. */
class End {
  readonly channel: Channel;
  readonly heard: string[] = [];
  readonly closed: Promise<CloseReason>;

  constructor(channel: Channel) {
    this.channel = channel;
    this.closed = new Promise((closed) => {
      const packet = (bytes: Uint8Array) => this.heard.push(Buffer.from(bytes).toString());
      channel.open({ packet, drain: ignore, closed });
    });
  }

  send(text: string): void {
    this.channel.send(Buffer.from(text));
  }
}

interface Served {
  readonly address: string;
  readonly ends: End[];
}

let sockets = 0;
const PLACES = {
  tcp: () => 'tcp://127.0.0.1:0',
  unix: () => {
    sockets += 1;
    return `unix://${join(folder, `${sockets}.sock`)}`;
  },
};

/** A worker that says hello on each link. */
async function serve(
  transport = transportOf(good),
  place: keyof typeof PLACES = 'tcp',
): Promise<Served> {
  const ends: End[] = [];
  const listener = await transport.listen(PLACES[place](), {
    link: (channel) => {
      const end = new End(channel);
      ends.push(end);
      end.send('hello');
    },
    stop: async () => {},
    status: () => ({ uid: 'w', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
  });
  cleanups.push(() => listener.close());
  return { address: listener.address, ends };
}

function dial(transport: ReturnType<typeof grpcTransport>, { address }: { address: string }): End {
  const end = new End(transport.connect(address));
  cleanups.push(() => end.channel.close({ code: 'closed', message: 'The test is over.' }));
  return end;
}

/** Why a link did not come up; also what a call says. */
async function refusal(transport: ReturnType<typeof grpcTransport>, worker: Served) {
  const end = dial(transport, worker);
  const { code, message, cause } = await end.closed;
  expect(end.heard).toEqual([]);
  expect(worker.ends).toEqual([]);
  const called = transport.call?.(worker.address, 'status', Buffer.alloc(0));
  const error = (await rejection(called as Promise<unknown>)) as AuthenticationError;
  expect(error).toMatchObject({ reason: (cause as AuthenticationError).reason });
  expect(message).toContain(error.message.slice(worker.address.length + 2));
  return { code, message, cause: cause as AuthenticationError };
}

describe.each(['tcp', 'unix'] as const)('over %s', (place) => {
  test.each([
    ['mutual', true],
    ['one-way', false],
  ])('a %s link carries packets both ways, and calls pass', async (_name, mutual) => {
    const worker = await serve(transportOf({ ...good, mutual }), place);
    const caller = transportOf(mutual ? good : { ca: good.ca, mutual: false });
    const end = dial(caller, worker);
    end.send('to the worker');
    await until(() => expect(end.heard).toEqual(['hello']));
    await until(() => expect(worker.ends[0]?.heard).toEqual(['to the worker']));
    // More than a record of TLS holds.
    const large = 'x'.repeat(100_000);
    end.send(large);
    worker.ends[0]?.send(large);
    await until(() => expect([worker.ends[0]?.heard[1], end.heard[1]]).toEqual([large, large]));
    expect(await caller.call?.(worker.address, 'status', Buffer.alloc(0))).toBeDefined();
    end.channel.close({ code: 'closed', message: 'Done.' });
    expect(await end.closed).toMatchObject({ code: 'closed' });
    expect(await worker.ends[0]?.closed).toMatchObject({ code: 'closed' });
  });

  test('the worker knows its callers by their certificates, each on its own link', async () => {
    const worker = await serve(undefined, place);
    for (const name of ['spiffe://app/one', 'spiffe://app/two']) {
      const end = dial(transportOf(await authority.issue({ names: [name] })), worker);
      await until(() => expect(end.heard).toEqual(['hello']));
    }
    const names = worker.ends.map(({ channel }) => channel.peer?.names);
    expect(names).toEqual([['spiffe://app/one'], ['spiffe://app/two']]);
  });

  test('without mutual TLS it knows nobody', async () => {
    const worker = await serve(transportOf({ ...good, mutual: false }), place);
    const end = dial(transportOf(good), worker);
    await until(() => expect(end.heard).toEqual(['hello']));
    expect(worker.ends[0]?.channel.peer).toBeUndefined();
  });
});

describe('a link does not come up', () => {
  test.each([
    ['expired', 'worker-expired', /its certificate has expired, on \d{4}-.*: it needs a new one/],
    ['not-yet-valid', 'worker-not-yet-valid', /is not valid yet, but from .*: do the clocks agree/],
  ] as const)('to a worker whose certificate is %s', async (dates, reason, words) => {
    const worker = await serve(transportOf(await authority.issue({ dates })));
    const refused = await refusal(transportOf(good), worker);
    expect(refused).toMatchObject({ code: 'unreachable', cause: { reason } });
    expect(refused.message).toMatch(words);
  });

  test('to a worker of another authority', async () => {
    const worker = await serve(transportOf({ ...(await other.issue()), ca: authority.ca }));
    const { cause, message } = await refusal(transportOf(good), worker);
    expect(cause.reason).toBe('worker-wrong-ca');
    expect(message).toMatch(/its certificate was not signed by one of those in ca here/);
  });

  test('to a worker with another name, which may be given', async () => {
    const worker = await serve(transportOf(await authority.issue({ names: ['workers.app'] })));
    const { cause, message } = await refusal(transportOf(good), worker);
    expect(cause.reason).toBe('worker-wrong-name');
    expect(message).toContain('its certificate is for workers.app, and not for 127.0.0.1');
    const end = dial(transportOf({ ...good, identity: 'workers.app' }), worker);
    await until(() => expect(end.heard).toEqual(['hello']));
  });

  test('by a name that is dialed, when an identity is given that is another', async () => {
    const worker = await serve();
    const caller = transportOf({ ...good, identity: 'spiffe://app/worker' });
    const { cause, message } = await refusal(caller, worker);
    expect(cause.reason).toBe('worker-wrong-name');
    expect(message).toContain('and not for spiffe://app/worker');
  });

  test('with a common name alone', async () => {
    const names = ['spiffe://app/worker'];
    const certificates = await authority.issue({ names, subject: '127.0.0.1' });
    const { cause } = await refusal(transportOf(good), await serve(transportOf(certificates)));
    expect(cause.reason).toBe('worker-wrong-name');
  });

  test.each([
    ['expired', 'caller-expired', /it does not take the certificate here: .* has expired, on/],
    ['not-yet-valid', 'caller-not-yet-valid', /is not valid yet, but from/],
  ] as const)('with a certificate of the caller that is %s', async (dates, reason, words) => {
    const { cause, message } = await refusal(
      transportOf(await authority.issue({ dates })),
      await serve(),
    );
    expect(cause.reason).toBe(reason);
    expect(message).toMatch(words);
  });

  test('with a certificate of the caller that is of another authority', async () => {
    // It is a good one for whoever believes both.
    const ca = authority.ca + other.ca;
    const { cause } = await refusal(transportOf({ ...(await other.issue()), ca }), await serve());
    expect(cause.reason).toBe('caller-wrong-ca');
  });

  test('with a certificate that is for workers only', async () => {
    const certificates = await authority.issue({ usages: ['server'] });
    const { cause, message } = await refusal(transportOf(certificates), await serve());
    expect(cause.reason).toBe('handshake');
    expect(message).toContain('INVALID_PURPOSE');
  });

  test('without a certificate of the caller', async () => {
    const caller = transportOf({ ca: good.ca, mutual: false });
    const { cause, message } = await refusal(caller, await serve());
    expect(cause.reason).toBe('no-client-certificate');
    expect(message).toContain('there is none here: give cert and key');
  });

  test.each(['tcp', 'unix'] as const)('of one who speaks plain text, over %s', async (place) => {
    const worker = await serve(undefined, place);
    const { cause, message } = await refusal(transportOf(undefined), worker);
    expect(cause.reason).toBe('tls');
    expect(message).toContain('it speaks TLS only');
  });

  test.each(['tcp', 'unix'] as const)('to one who speaks plain text, over %s', async (place) => {
    const worker = await serve(transportOf(undefined), place);
    const { cause, message } = await refusal(transportOf(good), worker);
    expect(cause.reason).toBe('plaintext');
    expect(message).toContain('it speaks plain text');
  });

  test('to one who is not there, which is no matter of trust', async () => {
    for (const given of [good, undefined]) {
      const { code, cause } = await dial(transportOf(given), { address: 'tcp://127.0.0.1:1' })
        .closed;
      expect({ code, cause }).toMatchObject({ code: 'unreachable', cause: { code: 14 } });
    }
  });

  test('to one who hangs up, which may be anything', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const { port } = server.address() as { port: number };
    const { code } = await dial(transportOf(good), { address: `tcp://127.0.0.1:${port}` }).closed;
    expect(code).toBe('unreachable');
  });

  test('and one connection finds out why, with none behind it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    cleanups.push(() => vi.useRealTimers());
    const worker = await serve();
    const { port } = new URL(worker.address);
    const ports: (number | undefined)[] = [];
    const relay = createServer((near) => {
      ports.push(near.remotePort);
      const far = connectSocket(Number(port), '127.0.0.1');
      near.on('error', ignore).pipe(far).on('error', ignore).pipe(near);
    }).listen(0, '127.0.0.1');
    await once(relay, 'listening');
    cleanups.push(() => relay.close());
    const address = `tcp://127.0.0.1:${(relay.address() as { port: number }).port}`;
    const caller = transportOf(await authority.issue({ dates: 'expired' }));
    expect((await dial(caller, { address }).closed).code).toBe('unreachable');
    // grpc-js tries again by itself, if it is let.
    await vi.advanceTimersByTimeAsync(2_000);
    const last = connectSocket(Number(new URL(address).port), '127.0.0.1');
    await once(last, 'connect');
    await until(() => expect(ports).toContain(last.localPort));
    expect(ports).toHaveLength(3);
    last.destroy();
  });

  test('and a call takes no longer than it may to find out why', async () => {
    const connections: Socket[] = [];
    const server = createServer((socket) => {
      // The first is that of the call.
      if (connections.push(socket) === 1) socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const { port } = server.address() as { port: number };
    const credentials = WorkerCredentials.fromBytes(good);
    const start = performance.now();
    const asked = workerStatus(`tcp://127.0.0.1:${port}`, { credentials, timeout: 300 });
    const error = await rejection(asked);
    expect(String(error)).toContain('it gave no answer within 300 ms');
    expect(performance.now() - start).toBeLessThan(1_500);
    expect(connections).toHaveLength(2);
    for (const socket of connections) socket.destroy();
  });

  test('to one who does not shake hands, as soon as its owner gives up', async () => {
    const connections: Socket[] = [];
    const server = createServer((socket) => connections.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const { port } = server.address() as { port: number };
    const end = dial(transportOf(good, { closeTimeoutMs: 50 }), {
      address: `tcp://127.0.0.1:${port}`,
    });
    await until(() => expect(connections).toHaveLength(1));
    end.channel.close({ code: 'closed', message: 'Enough.' });
    expect(await end.closed).toEqual({ code: 'closed', message: 'Enough.' });
    for (const socket of connections) socket.destroy();
  });
});

test('no warning of Node comes with addresses that are no names', async () => {
  const warnings: string[] = [];
  const warned = ({ message }: Error) => warnings.push(message);
  process.on('warning', warned);
  const worker = await serve();
  const end = dial(transportOf(good), worker);
  await until(() => expect(end.heard).toEqual(['hello']));
  await refusal(transportOf({ ...good, identity: 'a.example' }), await serve());
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', warned);
  expect(warnings).toEqual([]);
});

test('credentials and an authkey are asked for both', async () => {
  const authkey = 'correct horse battery staple';
  const worker = await serve(transportOf(good, { authkey }));
  const { code } = await dial(transportOf(good), worker).closed;
  expect(code).toBe('refused');
  const end = dial(transportOf(good, { authkey }), worker);
  await until(() => expect(end.heard).toEqual(['hello']));
});

describe('when credentials change', () => {
  /** A source that is pushed to, and its transport. */
  function changing(given: CertificateBytes) {
    const source = CredentialSource.pushed(sourceOf(given).material);
    const push = (next: CertificateBytes) => source.push(sourceOf(next).material);
    return { push, transport: grpcTransport({ credentials: source }) };
  }

  test('new connections use the new ones on both sides, and links that are open go on', async () => {
    const server = changing(good);
    const client = changing(await authority.issue({ names: ['spiffe://app/old'] }));
    const worker = await serve(server.transport);
    const before = dial(client.transport, worker);
    await until(() => expect(before.heard).toEqual(['hello']));

    const ca = other.ca;
    server.push(await other.issue());
    const { cause } = await dial(client.transport, worker).closed;
    expect((cause as AuthenticationError).reason).toBe('worker-wrong-ca');
    client.push({ ...(await other.issue({ names: ['spiffe://app/new'] })), ca });
    const after = dial(client.transport, worker);
    await until(() => expect(after.heard).toEqual(['hello']));

    const names = worker.ends.map(({ channel }) => channel.peer?.names);
    expect(names).toEqual([['spiffe://app/old'], ['spiffe://app/new']]);
    before.send('still there');
    await until(() => expect(worker.ends[0]?.heard).toEqual(['still there']));
  });

  test('a caller whom nobody tells asks its provider before it connects', async () => {
    let given = WorkerCredentials.fromBytes(await other.issue());
    const provider = { credentials: () => given, reloadable: true };
    const credentials = new CredentialSource(provider, { warn: ignore });
    const caller = grpcTransport({ credentials });
    const worker = await serve();
    expect((await dial(caller, worker).closed).code).toBe('unreachable');
    given = WorkerCredentials.fromBytes(good);
    await until(async () => {
      const end = dial(caller, worker);
      await until(() => expect(end.heard).toEqual(['hello']), 500);
    });
  });

  test('a provider that fails says why there is no link', async () => {
    const provider = {
      credentials: () => Promise.reject(new Error('the vault is sealed')),
      reloadable: true,
    };
    const credentials = new CredentialSource(provider, { warn: ignore });
    const { code, message, cause } = await dial(grpcTransport({ credentials }), await serve())
      .closed;
    expect(code).toBe('unreachable');
    expect(message).toContain('the vault is sealed');
    expect(cause).toHaveProperty('code', 'CREDENTIALS');
  });
});

describe('a stranger', () => {
  const portOf = ({ address }: Served) => Number(new URL(address).port);

  async function ended(socket: Socket): Promise<void> {
    socket.on('error', ignore);
    socket.resume();
    if (!socket.destroyed) await once(socket, 'close');
  }

  test('is warned of once, with what is wrong and how often', async () => {
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const worker = await serve(transportOf(good, { warn }));
    // A port that is only looked at.
    const looked = connectSocket(portOf(worker), '127.0.0.1');
    await once(looked, 'connect');
    looked.destroy();
    const talker = connectSocket(portOf(worker), '127.0.0.1');
    talker.write('GET / HTTP/1.1\r\n\r\n');
    await ended(talker);
    await refusal(transportOf({ ...(await other.issue()), ca: good.ca }), worker);
    expect(warnings).toEqual([
      'a connection was turned away in its TLS handshake, from 127.0.0.1: it does not speak TLS',
    ]);
  });

  test.each([
    ['expired', 'has expired'],
    ['not-yet-valid', 'is not valid yet'],
    ['valid', 'was not signed by one of those in ca here'],
  ] as const)('with a certificate that is %s is warned of in words', async (dates, words) => {
    const warnings: string[] = [];
    const worker = await serve(transportOf(good, { warn: (message) => warnings.push(message) }));
    const issuer = dates === 'valid' ? other : authority;
    await refusal(transportOf({ ...(await issuer.issue({ dates })), ca: good.ca }), worker);
    expect(warnings).toEqual([expect.stringContaining(`127.0.0.1: its certificate ${words}`)]);
  });

  test('gets no further with a session of before', async () => {
    const worker = await serve();
    const options = { port: portOf(worker), host: '127.0.0.1', ...good, ALPNProtocols: ['h2'] };
    const first = connectTls(options);
    first.on('error', ignore);
    const tickets: Buffer[] = [];
    first.on('session', (ticket) => tickets.push(ticket));
    first.resume();
    await once(first, 'secureConnect');
    // Behind the settings of HTTP/2 a ticket would have come.
    await once(first, 'data');
    first.destroy();
    for (const session of tickets) {
      const again = connectTls({ ...options, session });
      again.on('error', ignore);
      await once(again, 'secureConnect');
      expect(again.isSessionReused()).toBe(false);
      again.destroy();
    }
  });

  test('with an older TLS is not let in', async () => {
    const { address } = await serve();
    const { port } = new URL(address);
    const old = { host: '127.0.0.1', port: Number(port), ...good, maxVersion: 'TLSv1.2' } as const;
    const [error] = await once(connectTls(old), 'error');
    expect(error).toHaveProperty('code', expect.stringMatching(/ALERT_PROTOCOL_VERSION/));
  });

  test('one of many that do not shake hands makes room for who does', async () => {
    const worker = await serve();
    const strangers = Array.from({ length: defaultPeerLimits.maxStrangers + 10 }, () =>
      connectSocket(portOf(worker), '127.0.0.1'),
    );
    const closed = strangers.map((socket) => ended(socket));
    let open = strangers.length;
    for (const one of closed) {
      void one.then(() => {
        open -= 1;
      });
    }
    await until(() => expect(open).toBeLessThanOrEqual(defaultPeerLimits.maxStrangers));
    const end = dial(transportOf(good), worker);
    await until(() => expect(end.heard).toEqual(['hello']));
    for (const socket of strangers) socket.destroy();
    await Promise.all(closed);
  });

  test('with many bytes and no handshake is cut off', async () => {
    const worker = await serve();
    const socket = connectSocket(portOf(worker), '127.0.0.1');
    // A hello of TLS that goes on and on: records of handshakes, never whole.
    const record = Buffer.alloc(16_389);
    record.set([0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff]);
    const timer = setInterval(() => socket.write(record), 5);
    await ended(socket);
    clearInterval(timer);
  });

  test('does not hold up a worker that stops', async () => {
    const transport = transportOf(good, { closeTimeoutMs: 50 });
    const listener = await transport.listen('tcp://127.0.0.1:0', {
      link: ignore,
      stop: async () => {},
      status: () => ({ uid: 'w', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
    });
    const socket = connectSocket(Number(new URL(listener.address).port), '127.0.0.1');
    await once(socket, 'connect');
    const gone = ended(socket);
    await Promise.all([listener.close(), gone]);
  });
});

test('a worker is asked how it is, and to stop, with its beat, by who has credentials', async () => {
  const worker = await serve();
  const credentials = WorkerCredentials.fromBytes(good);
  expect(await workerStatus(worker.address, { credentials })).toMatchObject({ uid: 'w' });
  const beat = await startBeat('beat+tcp://127.0.0.1:0', {
    mayKill: false,
    credentials: sourceOf(good),
  });
  cleanups.push(() => beat.close());
  await stopWorker(worker.address, { credentials, beat: beat.address, grace: 60_000 });
  for (const asked of [workerStatus, stopWorker]) {
    const error = await rejection(asked(worker.address));
    expect(error).toMatchObject({ code: 'AUTHENTICATION', reason: 'tls' });
  }
});

test('the standard health check is answered to who has the certificates', async () => {
  const { address } = await serve();
  const client = new grpc.Client(
    `dns:${address.slice('tcp://'.length)}`,
    grpc.credentials.createSsl(
      Buffer.from(good.ca),
      Buffer.from(good.key),
      Buffer.from(good.cert),
      {
        checkServerIdentity: () => undefined,
      },
    ),
    // Node warns of a name that is an IP address.
    { 'grpc.ssl_target_name_override': 'worker' },
  );
  const same = (bytes: Buffer) => bytes;
  const answer = await new Promise((resolve, reject) => {
    const settle = (error: unknown, value: unknown) => (error ? reject(error) : resolve(value));
    client.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, Buffer.alloc(0), settle);
  });
  expect(answer).toEqual(Buffer.of(0x08, 1));
  client.close();
});
