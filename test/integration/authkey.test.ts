/** What an authkey keeps out: each test is someone who has none, or looks at those who have. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp } from 'node:http2';
import { type AddressInfo, connect as connectSocket, createServer } from 'node:net';
import { inspect } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { PbfReader, PbfWriter } from 'pbf';
import { afterEach, describe, expect, test } from 'vitest';
import type { InspectionEvent } from 'xstate';
import { AuthenticationError, type PoolWorker } from '../../src/index.ts';
import { Authkey } from '../../src/security/authkey.ts';
import { defaultPeerLimits } from '../../src/security/limits.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { GrpcCaller } from '../../src/transport/grpc-caller.ts';
import type { Channel, CloseReason, Transport } from '../../src/transport/transport.ts';
import { readChallengeReply, writeChallengeReply } from '../../src/wire/generated/auth.js';
import { rejection, until } from './helpers.ts';
import { add } from './routines/math.ts';
import { stopWorker, WorkerPool, workerStatus } from './runtime.ts';

const secret = 'correct horse battery staple';
const LINK = '/skein.v1.Worker/Link';
const STATUS = '/skein.v1.Worker/Status';
const CHALLENGE = '/skein.v1.Auth/Challenge';
const { ABORTED, FAILED_PRECONDITION, UNAUTHENTICATED } = grpc.status;
const same = (bytes: Buffer) => bytes;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A worker, with all that came to it. */
async function startWorker(transport: Transport) {
  const packets: string[] = [];
  const worker = { address: '', links: 0, stops: 0, packets };
  const listener = await transport.listen('tcp://127.0.0.1:0', {
    link: (channel) => {
      worker.links += 1;
      channel.open({
        packet: (bytes) => {
          packets.push(Buffer.from(bytes).toString());
          channel.send(Buffer.from('answer'));
        },
        drain: () => {},
        closed: () => {},
      });
    },
    stop: async () => {
      worker.stops += 1;
    },
    status: () => ({
      uid: 'secret-uid',
      inFlight: 0,
      idleMs: 0,
      uptimeMs: 0,
      draining: false,
    }),
  });
  cleanups.push(() => listener.close());
  worker.address = listener.address;
  return worker;
}

/** A link's channel; `message` goes out at once. */
function dial(transport: Transport, address: string, message = 'hello') {
  const channel: Channel = transport.connect(address);
  const answers: string[] = [];
  const closed = new Promise<CloseReason>((resolve) => {
    channel.open({
      packet: (bytes) => answers.push(Buffer.from(bytes).toString()),
      drain: () => {},
      closed: resolve,
    });
  });
  channel.send(Buffer.from(message));
  const close = () => channel.close({ code: 'closed', message: 'enough' });
  cleanups.push(close);
  return { answers, closed, close };
}

/** Someone with a client of gRPC, who says what they want; `key` is the one that they try. */
class Caller {
  readonly #client: grpc.Client;
  readonly #key: Authkey;

  constructor(address: string, key = secret) {
    const options = { 'grpc.use_local_subchannel_pool': 1 };
    const target = address.replace('tcp://', '');
    this.#client = new grpc.Client(target, grpc.credentials.createInsecure(), options);
    this.#key = new Authkey(key);
    cleanups.push(() => this.#client.close());
  }

  async nonce(): Promise<Buffer> {
    const bytes = await this.call(CHALLENGE, new grpc.Metadata());
    return Buffer.from(readChallengeReply(new PbfReader(bytes as Buffer)).nonce as Uint8Array);
  }

  proof(nonce: Buffer, method = STATUS): grpc.Metadata {
    const clientNonce = randomBytes(32);
    const metadata = new grpc.Metadata();
    metadata.set('skein-nonce-bin', nonce);
    metadata.set('skein-client-nonce-bin', clientNonce);
    const proof = this.#key.proof('client', { method, nonce, clientNonce });
    metadata.set('skein-proof-bin', proof);
    return metadata;
  }

  /** The answer, or the status that is none. */
  call(path: string, metadata: grpc.Metadata): Promise<Buffer | grpc.status> {
    return new Promise((resolve) => {
      const answer = (error: grpc.ServiceError | null, reply?: Buffer) =>
        resolve(error ? error.code : (reply as Buffer));
      this.#client.makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, answer);
    });
  }
}

/** A server that pretends to be a worker, and what it got to see. */
async function startImpostor(
  answer: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => void,
  challenge?: (reply: grpc.sendUnaryData<Buffer>) => void,
) {
  const seen = { packets: 0, metadata: [] as grpc.Metadata[] };
  const server = new grpc.Server();
  const give = (_call: unknown, reply: grpc.sendUnaryData<Buffer>) => {
    const writer = new PbfWriter();
    writeChallengeReply({ nonce: Buffer.alloc(32, 7) }, writer);
    if (challenge) challenge(reply);
    else reply(null, Buffer.from(writer.finish()));
  };
  server.register(CHALLENGE, give, same, () => ({}), 'unary');
  const link = (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
    seen.metadata.push(call.metadata);
    call.on('data', () => {
      seen.packets += 1;
    });
    answer(call);
  };
  server.register(LINK, link, same, same, 'bidi');
  const insecure = grpc.ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve) => {
    server.bindAsync('127.0.0.1:0', insecure, (_error, port) => resolve(port));
  });
  cleanups.push(() => server.forceShutdown());
  return { address: `tcp://127.0.0.1:${port}`, seen };
}

function proofOf(bytes: Buffer): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('skein-proof-bin', bytes);
  return metadata;
}

const inspectDeep = (value: unknown) => inspect(value, { depth: 8, showHidden: true });

const guarded = () => startWorker(grpcTransport({ authkey: secret }));

describe('with the same authkey', () => {
  test('links and calls pass, whether it is given as text or as bytes', async () => {
    const worker = await guarded();
    const { answers } = dial(grpcTransport({ authkey: Buffer.from(secret) }), worker.address);
    await until(() => expect(answers).toEqual(['answer']));
    await stopWorker(worker.address, { authkey: secret });
    expect(worker.stops).toBe(1);
    const { uid } = await workerStatus(worker.address, { authkey: secret });
    expect(uid).toBe('secret-uid');
  });

  test('no side sees more of it than a proof, and a wire that is listened to not even that', async () => {
    const worker = await guarded();
    const heard: Buffer[] = [];
    const { port } = new URL(worker.address);
    const relay = createServer((near) => {
      const far = connectSocket(Number(port), '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', (bytes: Buffer) => {
          heard.push(bytes);
          to.write(bytes);
        });
        from.on('close', () => to.destroy());
        from.on('error', () => {});
      }
    }).listen(0, '127.0.0.1');
    await once(relay, 'listening');
    cleanups.push(() => relay.close());
    const address = `tcp://127.0.0.1:${(relay.address() as AddressInfo).port}`;
    const transport = grpcTransport({ authkey: secret });
    const { answers, close } = dial(transport, address, 'a marker');
    await until(() => expect(answers).toHaveLength(1));
    await stopWorker(address, { authkey: secret });
    close();

    const wire = Buffer.concat(heard);
    expect(wire.includes('a marker')).toBe(true);
    const impostor = await startImpostor((call) => call.end());
    await dial(transport, impostor.address).closed;
    const told = inspect(impostor.seen.metadata[0]?.toHttp2Headers());
    expect(told).toContain('skein-proof-bin');
    const key = Buffer.from(secret);
    for (const form of [secret, key.toString('base64').slice(0, -2), key.toString('hex')]) {
      expect(wire.includes(form)).toBe(false);
      expect(told).not.toContain(form);
    }
    expect(inspect(transport, { depth: 9, showHidden: true })).not.toContain('horse');
  });
});

describe('who has no authkey, or another one', () => {
  test.each([undefined, 'another horse battery staple'])('(%s) gets no link', async (authkey) => {
    const worker = await guarded();
    const { closed } = dial(grpcTransport({ authkey }), worker.address);
    const { code, message, cause } = await closed;
    expect(code).toBe('refused');
    expect(message).toMatch(/^There is no link with the worker at tcp:.*: it .*the same one.*\.$/);
    expect(inspect(cause, { depth: 9 })).not.toContain('horse');
    expect(worker).toMatchObject({ links: 0, packets: [] });
  });

  test.each([undefined, 'another horse battery staple'])('(%s) stops nothing', async (authkey) => {
    const worker = await guarded();
    const error = await rejection(stopWorker(worker.address, { authkey }));
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ code: 'AUTHENTICATION' });
    expect(String(error)).toContain(worker.address);
    expect(inspect(error, { depth: 9 })).not.toContain('horse');
    expect(worker.stops).toBe(0);
  });

  test('is told nothing, but whether the worker is well', async () => {
    const worker = await guarded();
    const stranger = new Caller(worker.address);
    for (const method of ['Status', 'Stop', 'Link']) {
      const path = `/skein.v1.Worker/${method}`;
      expect(await stranger.call(path, new grpc.Metadata())).toBe(UNAUTHENTICATED);
    }
    const health = await stranger.call('/grpc.health.v1.Health/Check', new grpc.Metadata());
    expect(health).toEqual(Buffer.of(8, 1));
    expect(worker).toMatchObject({ links: 0, stops: 0 });
  });

  test('has a worker to themselves that has none, too', async () => {
    const worker = await startWorker(grpcTransport());
    const { code, message } = await dial(grpcTransport({ authkey: secret }), worker.address).closed;
    expect(code).toBe('refused');
    expect(message).toContain('it has no authkey');
    expect(worker).toMatchObject({ links: 0, packets: [] });
    expect(await new Caller(worker.address).call(CHALLENGE, new grpc.Metadata())).toBe(
      FAILED_PRECONDITION,
    );
  });
});

describe('a proof is good', () => {
  test('once', async () => {
    const worker = await guarded();
    const caller = new Caller(worker.address);
    const proof = caller.proof(await caller.nonce());
    expect(await caller.call(STATUS, proof)).toBeInstanceOf(Buffer);
    expect(await caller.call(STATUS, proof)).toBe(ABORTED);
    // What was let in once on a connection lets in nothing else on it.
    expect(await caller.call(STATUS, new grpc.Metadata())).toBe(UNAUTHENTICATED);
  });

  test('on the connection on which it was asked for', async () => {
    const worker = await guarded();
    const [caller, thief] = [new Caller(worker.address), new Caller(worker.address)];
    await thief.nonce();
    expect(await thief.call(STATUS, caller.proof(await caller.nonce()))).toBe(ABORTED);
  });

  test('for the call that it was made for, and no second try', async () => {
    const worker = await guarded();
    const caller = new Caller(worker.address);
    const nonce = await caller.nonce();
    expect(await caller.call(STATUS, caller.proof(nonce, LINK))).toBe(UNAUTHENTICATED);
    expect(await caller.call(STATUS, caller.proof(nonce))).toBe(ABORTED);
  });

  test('with a nonce of the worker, and one value of each kind', async () => {
    const worker = await guarded();
    const caller = new Caller(worker.address);
    expect(await caller.call(STATUS, caller.proof(randomBytes(32)))).toBe(ABORTED);
    const broken: ((metadata: grpc.Metadata) => void)[] = [
      (metadata) => metadata.set('skein-client-nonce-bin', Buffer.alloc(31)),
      (metadata) => metadata.set('skein-proof-bin', Buffer.alloc(0)),
      (metadata) => metadata.add('skein-proof-bin', Buffer.alloc(32)),
      (metadata) => metadata.remove('skein-nonce-bin'),
    ];
    for (const spoil of broken) {
      const metadata = caller.proof(await caller.nonce());
      spoil(metadata);
      expect(await caller.call(STATUS, metadata)).toBe(UNAUTHENTICATED);
    }
  });

  test('however many nonces others ask for', async () => {
    const worker = await guarded();
    const [caller, flood] = [new Caller(worker.address), new Caller(worker.address)];
    const nonce = await caller.nonce();
    const nonces = await Promise.all(Array.from({ length: 1_000 }, () => flood.nonce()));
    expect(await caller.call(STATUS, caller.proof(nonce))).toBeInstanceOf(Buffer);
    // Of their own they have lost the most.
    expect(await flood.call(STATUS, flood.proof(nonces[0] as Buffer))).toBe(ABORTED);
  });
});

describe('a server that has no authkey and says it had', () => {
  test.each<[string, (call: grpc.ServerDuplexStream<Buffer, Buffer>) => void]>([
    ['shows nothing', (call) => call.sendMetadata(new grpc.Metadata())],
    ['makes a proof up', (call) => call.sendMetadata(proofOf(randomBytes(32)))],
    [
      'gives the client its own proof back',
      (call) => {
        const [proof] = call.metadata.get('skein-proof-bin');
        call.sendMetadata(proofOf(proof as Buffer));
      },
    ],
    ['answers before it', (call) => call.write(Buffer.from('answer'))],
  ])('and %s, gets nothing', async (_what, answer) => {
    const { address, seen } = await startImpostor(answer);
    const { answers, closed } = dial(grpcTransport({ authkey: secret }), address, 'my task');
    expect(await closed).toMatchObject({
      code: 'refused',
      message: expect.stringContaining('can not show that it has the authkey'),
    });
    expect(seen.packets).toBe(0);
    expect(answers).toEqual([]);
  });

  test('gets nothing of a link that is closed at once, either', async () => {
    const { address, seen } = await startImpostor((call) =>
      call.sendMetadata(proofOf(randomBytes(32))),
    );
    const { close, closed } = dial(grpcTransport({ authkey: secret }), address, 'my task');
    close();
    await closed;
    expect(seen.packets).toBe(0);
  });

  test('gets no request of a call', async () => {
    const { address, seen } = await startImpostor((call) =>
      call.sendMetadata(proofOf(randomBytes(32))),
    );
    using caller = new GrpcCaller(address, { authkey: secret });
    const error = await rejection(caller.unary(LINK, Buffer.from('my request')));
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(seen.packets).toBe(0);
  });
});

test.runIf(process.platform === 'linux')(
  'the worker of a pool has its authkey from nowhere that others can look, and shows it to none',
  async () => {
    const events: InspectionEvent[] = [];
    const inspect = (event: InspectionEvent) => events.push(event);
    const pool = await WorkerPool.open({ size: 1, transport: 'tcp', authkey: secret, inspect });
    cleanups.push(() => pool.close({ grace: 0 }));
    const [{ address, pid }] = pool.workers as [PoolWorker];
    expect(await add.on(pool)(1, 2)).toBe(3);
    expect(await rejection(workerStatus(address))).toBeInstanceOf(AuthenticationError);
    const seen = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
    expect(seen[0]).toContain('node');
    seen.push(inspectDeep(events), inspectDeep(pool), inspectDeep(process.execArgv));
    expect(events.length).toBeGreaterThan(5);
    for (const form of [secret, Buffer.from(secret).toString('base64')]) {
      for (const text of seen) expect(text).not.toContain(form);
    }
  },
);

test('a challenge that a worker has forgotten leaves it unreachable for now, and not refused', async () => {
  const { address } = await startImpostor((call) => {
    call.emit('error', { code: ABORTED, details: 'not any more' });
  });
  const { code } = await dial(grpcTransport({ authkey: secret }), address).closed;
  expect(code).toBe('unreachable');
});

test('a worker that never answers the challenge is given up in time, and by who does not wait', async () => {
  const { address } = await startImpostor(
    () => {},
    () => {},
  );
  using caller = new GrpcCaller(address, { authkey: secret });
  const error = await rejection(caller.unary(STATUS, new Uint8Array(), 100));
  expect(error).toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED });
  const transport = grpcTransport({ authkey: secret, closeTimeoutMs: 50 });
  const { close, closed } = dial(transport, address);
  close();
  expect(await closed).toMatchObject({ code: 'closed' });
});

describe('who has not shown the authkey', () => {
  test('fills no memory: the connection ends', async () => {
    const worker = await startWorker(grpcTransport({ authkey: secret }));
    const { port } = new URL(worker.address.replace('tcp:', 'http:'));
    const session = connectHttp(`http://127.0.0.1:${port}`);
    const ended = new Promise((resolve) => session.once('close', resolve));
    session.on('error', () => {});
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 30; i += 1) {
      const stream = session.request({
        ':method': 'POST',
        ':path': CHALLENGE,
        'content-type': 'application/grpc+proto',
      });
      stream.on('error', () => {});
      stream.write(Buffer.from([0, 0, 0x70, 0, 0]));
      stream.write(Buffer.alloc(7 << 20));
    }
    await ended;
    expect(process.memoryUsage.rss() - before).toBeLessThan(400e6);
    const transport = grpcTransport({ authkey: secret });
    const { answers } = dial(transport, worker.address);
    await until(() => expect(answers).toEqual(['answer']));
  });

  test('holds no place for long: the oldest makes room, and those who have shown it stay', async () => {
    const worker = await startWorker(grpcTransport({ authkey: secret }));
    const { answers, closed } = dial(grpcTransport({ authkey: secret }), worker.address);
    await until(() => expect(answers).toEqual(['answer']));
    const { port } = new URL(worker.address.replace('tcp:', 'http:'));
    const strangers = Array.from({ length: defaultPeerLimits.maxStrangers + 20 }, () => {
      const socket = connectSocket(Number(port), '127.0.0.1').resume();
      socket.on('error', () => {});
      cleanups.push(() => socket.destroy());
      return socket;
    });
    await until(() => {
      expect(strangers.filter((socket) => socket.destroyed || socket.readableEnded)).toHaveLength(
        20,
      );
    });
    expect(await Promise.race([closed, 'open'])).toBe('open');
  });
});
