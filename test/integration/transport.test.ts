/** What every transport must do: the same cases over memory, TCP and Unix sockets. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { PbfReader, PbfWriter } from 'pbf';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { systemEnv } from '../../src/env.ts';
import { ListenError } from '../../src/errors.ts';
import { type NatsTransport, natsTransport, transportWith } from '../../src/nats/transport.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { memoryTransport } from '../../src/transport/memory.ts';
import type {
  BaseTransport,
  Channel,
  ChannelHandlers,
  CloseReason,
  Listener,
  ListenerService,
  WorkerStatus,
} from '../../src/transport/transport.ts';
import { readStatusReply, writeStopRequest } from '../../src/wire/generated/worker.js';
import { TYPESCRIPT } from './helpers.ts';
import { noNats, startNats } from './nats-server.ts';

const MiB = 1024 * 1024;
const authkey = 'a secret of thirty-two characters';
const idle: WorkerStatus = { uid: 'w', inFlight: 0, idleMs: 5, draining: false, uptimeMs: 50 };
const directory = mkdtempSync(join(tmpdir(), 'skein-'));
afterAll(() => rmSync(directory, { recursive: true }));

let sockets = 0;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** One end of a channel, with all that it was told. */
class End implements ChannelHandlers {
  readonly channel: Channel;
  readonly packets: Uint8Array[] = [];
  readonly reasons: CloseReason[] = [];
  drains = 0;
  bytes = 0;
  onPacket: (bytes: Uint8Array) => void = (bytes) => this.packets.push(bytes);
  #watchers: (() => void)[] = [];

  constructor(channel: Channel) {
    this.channel = channel;
    channel.open(this);
  }

  packet(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.onPacket(bytes);
    this.#changed();
  }

  drain(): void {
    this.drains += 1;
    this.#changed();
  }

  closed(reason: CloseReason): void {
    this.reasons.push(reason);
    this.#changed();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async end(): Promise<CloseReason> {
    await this.until(() => this.reasons.length > 0);
    return this.reasons[0] as CloseReason;
  }

  /** Sends all packets, as fast as the channel takes them. */
  async pump(packets: Iterable<Uint8Array>): Promise<void> {
    for (const packet of packets) {
      const drains = this.drains;
      if (!this.channel.send(packet)) {
        await this.until(() => this.drains > drains || this.reasons.length > 0);
      }
    }
  }

  #changed(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }
}

class Worker {
  readonly ends: End[] = [];
  listener: Listener | undefined;
  status: WorkerStatus = idle;
  stops: (number | undefined)[] = [];
  onStop: () => Promise<void> = async () => {};
  onEnd: (end: End) => void = () => {};
  #watchers: (() => void)[] = [];

  readonly service: ListenerService = {
    link: (channel) => {
      const end = new End(channel);
      this.ends.push(end);
      this.onEnd(end);
      for (const watcher of this.#watchers.splice(0)) watcher();
    },
    stop: (grace) => {
      this.stops.push(grace);
      return this.onStop();
    },
    status: () => this.status,
  };

  get address(): string {
    return this.listener?.address as string;
  }

  async next(count = 1): Promise<End> {
    while (this.ends.length < count) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
    return this.ends[count - 1] as End;
  }
}

async function listen(transport: BaseTransport, address: string): Promise<Worker> {
  const worker = new Worker();
  worker.listener = await transport.listen(address, worker.service);
  cleanups.push(() => worker.listener?.close());
  return worker;
}

function connect(transport: BaseTransport, address: string): End {
  const end = new End(transport.connect(address));
  cleanups.push(() => end.channel.close({ code: 'closed', message: 'test over' }));
  return end;
}

interface Pair {
  readonly worker: Worker;
  readonly near: End;
  readonly far: End;
}

async function pair(transport: BaseTransport, address: string): Promise<Pair> {
  const worker = await listen(transport, address);
  const near = connect(transport, worker.address);
  return { worker, near, far: await worker.next() };
}

const bye: CloseReason = { code: 'closed', message: 'done' };
const text = (packets: Uint8Array[]) => packets.map((packet) => Buffer.from(packet).toString());
const codes = (end: End) => end.reasons.map((reason) => reason.code);

function* numbered(count: number): Generator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    const packet = Buffer.alloc(4 + (i % 100), i);
    packet.writeUInt32LE(i);
    yield packet;
  }
}

function* repeated(count: number, packet: Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < count; i++) yield packet;
}

/** Other traffic of the same transport: what a stuck channel would have sent by now, it has sent. */
async function otherTraffic(transport: BaseTransport, address: string): Promise<void> {
  const { near, far } = await pair(transport, address);
  far.onPacket = (bytes) => far.channel.send(bytes);
  for (let i = 1; i <= 300; i++) {
    near.channel.send(Buffer.from('ping'));
    await near.until(() => near.packets.length === i);
  }
}

function startChild(role: 'listen' | 'connect', address: string): ChildProcess {
  const entry = fileURLToPath(new URL('transport-child.ts', import.meta.url));
  const child = fork(entry, [role, address, natsServer?.url ?? ''], {
    execArgv: [...TYPESCRIPT],
  });
  cleanups.push(() => child.kill('SIGKILL'));
  return child;
}

interface Subject {
  readonly name: string;
  make(): BaseTransport;
  /** One whose closing channels wait only briefly. */
  hasty(): BaseTransport;
  /** Something to listen on; a new place each time. */
  place(): string;
  /** A place where nobody listens. */
  deserted: string;
  bad: string;
}

const subjects: Subject[] = [
  {
    name: 'memory',
    make: () => memoryTransport(),
    hasty: () => memoryTransport({ ...systemEnv, timer: (_ms, fn) => systemEnv.timer(50, fn) }),
    place: () => `memory://w${++sockets}`,
    deserted: 'memory://nobody',
    bad: 'memory:nobody',
  },
  {
    name: 'gRPC on TCP',
    make: () => grpcTransport(),
    hasty: () => grpcTransport({ closeTimeoutMs: 50 }),
    place: () => 'tcp://127.0.0.1:0',
    deserted: 'tcp://127.0.0.1:1',
    bad: 'tcp://127.0.0.1',
  },
  {
    name: 'gRPC on a Unix socket',
    make: () => grpcTransport(),
    hasty: () => grpcTransport({ closeTimeoutMs: 50 }),
    place: () => `unix://${directory}/${++sockets}.sock`,
    deserted: `unix://${directory}/nobody.sock`,
    bad: 'unix:relative.sock',
  },
  {
    name: 'gRPC with an authkey',
    make: () => grpcTransport({ authkey }),
    hasty: () => grpcTransport({ authkey, closeTimeoutMs: 50 }),
    place: () => 'tcp://127.0.0.1:0',
    deserted: 'tcp://127.0.0.1:1',
    bad: 'tcp://127.0.0.1',
  },
];

const natsServer = noNats === undefined ? await startNats() : undefined;
afterAll(() => natsServer?.[Symbol.asyncDispose]());
if (natsServer !== undefined) {
  const servers = natsServer.url;
  const overNats = (name: string, guard: (transport: NatsTransport) => BaseTransport): Subject => ({
    name,
    make: () => guard(natsTransport({ servers, goneAfter: 1_000 })),
    hasty: () => guard(transportWith({ servers }, { closeTimeoutMs: 50 })),
    place: () => 'nats://',
    deserted: 'nats://default/anyone/nobody',
    bad: 'nats://default',
  });
  subjects.push(overNats('NATS', (transport) => transport));
  subjects.push(overNats('NATS with an authkey', (transport) => transport.guarded(authkey)));
}

describe.each(subjects)('$name', ({ name, make, hasty, place, deserted, bad }) => {
  test('carries 10,000 packets each way, whole and in order', async () => {
    const { near, far } = await pair(make(), place());
    await Promise.all([near.pump(numbered(10_000)), far.pump(numbered(10_000))]);
    await near.until(() => near.packets.length === 10_000);
    await far.until(() => far.packets.length === 10_000);
    const sent = Buffer.concat([...numbered(10_000)]);
    expect(Buffer.concat(near.packets).equals(sent)).toBe(true);
    expect(Buffer.concat(far.packets).equals(sent)).toBe(true);
  });

  test('carries 4 MiB, and views of larger buffers', async () => {
    const { near, far } = await pair(make(), place());
    const large = new Uint8Array(4 * MiB).fill(7);
    near.channel.send(large);
    near.channel.send(Uint8Array.from([1, 2, 3, 4]).subarray(1, 3));
    await far.until(() => far.packets.length === 2);
    expect(Buffer.compare(far.packets[0] as Uint8Array, large)).toBe(0);
    expect([...(far.packets[1] as Uint8Array)]).toEqual([2, 3]);
  });

  test('the receiver may change its bytes; the sender keeps its own', async () => {
    const { near, far } = await pair(make(), place());
    const packet = Buffer.from('abc');
    near.channel.send(packet);
    await far.until(() => far.packets.length === 1);
    far.packets[0]?.fill(0);
    expect(packet.toString()).toBe('abc');
  });

  test('takes no empty packet', async () => {
    const { near } = await pair(make(), place());
    expect(() => near.channel.send(new Uint8Array())).toThrow(TypeError);
  });

  test('sends nothing back within a call of the owner', async () => {
    const { near } = await pair(make(), place());
    near.channel.close(bye);
    expect(near.reasons).toEqual([]);
    await near.end();
  });

  test.each(['caller', 'worker'])('a %s that reads nothing stops the other side', async (who) => {
    const transport = make();
    const worker = await listen(transport, place());
    if (who === 'worker') worker.onEnd = (end) => end.channel.pause();
    const near = connect(transport, worker.address);
    if (who === 'caller') near.channel.pause();
    const far = await worker.next();
    const [reader, writer] = who === 'caller' ? [near, far] : [far, near];

    let offered = 0;
    const packets = function* () {
      for (; offered < 256; offered++) yield Buffer.alloc(256 * 1024, offered);
    };
    const pumped = writer.pump(packets());
    await otherTraffic(transport, place());
    expect(reader.packets).toEqual([]);
    expect(offered).toBeLessThan(64); // 16 MiB

    reader.channel.resume();
    await pumped;
    await reader.until(() => reader.packets.length === 256);
    expect(reader.packets.map((packet) => packet[0])).toEqual([...Array(256).keys()]);
  });

  test('pauses between two packets', async () => {
    const { near, far } = await pair(make(), place());
    far.onPacket = (bytes) => {
      far.packets.push(bytes);
      far.channel.pause();
    };
    for (const packet of numbered(5)) near.channel.send(packet);
    for (let i = 1; i <= 5; i++) {
      await far.until(() => far.packets.length === i);
      expect(far.packets.length).toBe(i);
      far.channel.resume();
    }
  });

  test('one drain follows when the channel was full', async () => {
    const { near, far } = await pair(make(), place());
    let full = 0;
    for (const packet of repeated(8, Buffer.alloc(512 * 1024))) {
      if (!near.channel.send(packet)) full += 1;
    }
    expect(full).toBeGreaterThan(0);
    await far.until(() => far.packets.length === 8);
    await near.until(() => near.drains > 0);
    expect(near.channel.send(Buffer.from('x'))).toBe(true);
    await far.until(() => far.packets.length === 9);
    expect(near.drains).toBe(1);
  });

  test('nobody listens: unreachable', async () => {
    const end = connect(make(), deserted);
    end.channel.send(Buffer.from('lost in the post'));
    const { code, message } = await end.end();
    expect(code).toBe('unreachable');
    expect(message).toContain(deserted);
    expect(end.channel.send(Buffer.from('x'))).toBe(false);
  });

  test('a bad address: unreachable, and a ListenError', async () => {
    const { code, message } = await connect(make(), bad).end();
    expect(code).toBe('unreachable');
    expect(message).toContain(bad);
    await expect(make().listen(bad, new Worker().service)).rejects.toThrow(ListenError);
  });

  test('an address in use: a ListenError that says what to do', async () => {
    const log = vi.spyOn(console, 'error');
    const transport = make();
    const { worker } = await pair(transport, place());
    const again = transport.listen(worker.address, new Worker().service);
    await expect(again).rejects.toThrow(ListenError);
    await expect(again).rejects.toThrow(/choose another/i);
    expect(log).not.toHaveBeenCalled();
  });

  test.each(['caller', 'worker'])('what a %s sent before it closed arrives', async (who) => {
    const { near, far } = await pair(make(), place());
    const [closer, other] = who === 'caller' ? [near, far] : [far, near];
    for (const packet of repeated(64, Buffer.alloc(128 * 1024))) closer.channel.send(packet);
    closer.channel.send(Buffer.from('last'));
    closer.channel.close({ code: 'protocol', message: 'because' });
    expect(closer.channel.send(Buffer.from('late'))).toBe(false);
    expect((await other.end()).code).toBe('closed');
    expect(other.packets.length).toBe(65);
    expect(text(other.packets.slice(-1))).toEqual(['last']);
    expect(await closer.end()).toEqual({ code: 'protocol', message: 'because' });
  });

  test('what was sent before the connection was up arrives, even when closed at once', async () => {
    const transport = make();
    const worker = await listen(transport, place());
    const near = connect(transport, worker.address);
    near.channel.send(Buffer.from('hello'));
    near.channel.close(bye);
    const far = await worker.next();
    expect((await far.end()).code).toBe('closed');
    expect(text(far.packets)).toEqual(['hello']);
    expect((await near.end()).code).toBe('closed');
  });

  test('a closing side hears nothing more but the end', async () => {
    const { near, far } = await pair(make(), place());
    near.channel.send(Buffer.from('sync'));
    await far.until(() => far.packets.length === 1);
    far.channel.send(Buffer.from('late'));
    near.channel.close(bye);
    await near.end();
    await far.end();
    expect(near.packets).toEqual([]);
  });

  test('both sides close at once: each is told once, with its own reason', async () => {
    const { near, far } = await pair(make(), place());
    near.channel.close({ code: 'closed', message: 'near' });
    far.channel.close({ code: 'closed', message: 'far' });
    near.channel.close(bye);
    expect((await near.end()).message).toBe('near');
    expect((await far.end()).message).toBe('far');
    near.channel.close(bye);
    near.channel.pause();
    near.channel.resume();
    expect(near.channel.send(Buffer.from('x'))).toBe(false);
    await otherTraffic(make(), place());
    expect([codes(near), codes(far)]).toEqual([['closed'], ['closed']]);
  });

  test.each(['caller', 'worker'])('a %s need not wait for a side that never reads', async (who) => {
    const { near, far } = await pair(hasty(), place());
    const [closer, other] = who === 'caller' ? [near, far] : [far, near];
    other.channel.pause();
    for (const packet of repeated(64, Buffer.alloc(256 * 1024))) closer.channel.send(packet);
    closer.channel.close(bye);
    expect(await closer.end()).toEqual(bye);
    expect((await other.end()).code).toBe('lost');
    expect([codes(near).length, codes(far).length]).toEqual([1, 1]);
  });

  test.each(['caller', 'worker'])('a %s that fails on a packet: protocol', async (who) => {
    const { near, far } = await pair(make(), place());
    const [failing, other] = who === 'caller' ? [near, far] : [far, near];
    const cause = new Error('no such frame');
    failing.onPacket = () => {
      throw cause;
    };
    for (const packet of numbered(3)) other.channel.send(packet);
    const reason = await failing.end();
    expect(reason).toMatchObject({ code: 'protocol', cause });
    expect(reason.message).toContain('no such frame');
    expect((await other.end()).code).toBe('lost');
    expect(failing.bytes).toBe(4);
    expect([codes(near).length, codes(far).length]).toEqual([1, 1]);
  });

  test.each(['caller', 'worker'])('a packet too large for a %s: protocol', async (who) => {
    const { near, far } = await pair(make(), place());
    const [reader, writer] = who === 'caller' ? [near, far] : [far, near];
    writer.channel.send(Buffer.alloc(8 * MiB));
    writer.channel.send(Buffer.alloc(8 * MiB + 1));
    expect(await reader.end()).toMatchObject({ code: 'protocol' });
    expect(reader.packets.length).toBe(1);
    expect((await writer.end()).code).toBe('lost');
  });

  test('a listener that closes ends its channels, and frees its address', async () => {
    const transport = make();
    const worker = await listen(transport, place());
    const callers = [1, 2, 3].map(() => connect(transport, worker.address));
    await worker.next(3);
    for (const { channel } of worker.ends) channel.send(Buffer.from('goodbye'));
    await Promise.all([worker.listener?.close(), worker.listener?.close()]);
    for (const end of worker.ends) expect(codes(end)).toEqual(['closed']);
    for (const caller of callers) {
      expect((await caller.end()).code).toBe('closed');
      expect(text(caller.packets)).toEqual(['goodbye']);
    }
    expect((await connect(transport, worker.address).end()).code).toBe('unreachable');

    const next = await listen(transport, worker.address);
    const near = connect(transport, next.address);
    near.channel.send(Buffer.from('hello'));
    const far = await next.next();
    await far.until(() => far.packets.length === 1);
    for (const end of [...callers, ...worker.ends]) expect(end.reasons.length).toBe(1);
  });

  test('a listener does not wait for callers that never read', async () => {
    const { worker, near, far } = await pair(hasty(), place());
    near.channel.pause();
    for (const packet of repeated(64, Buffer.alloc(256 * 1024))) far.channel.send(packet);
    await worker.listener?.close();
    expect(codes(far)).toEqual(['closed']);
    expect((await near.end()).code).toBe('lost');
  });

  if (name === 'memory') {
    test('a worker that dies: both sides have lost', async () => {
      const transport = memoryTransport();
      const { worker, near, far } = await pair(transport, place());
      near.channel.send(Buffer.from('on its way'));
      transport.crash(worker.address);
      expect((await near.end()).code).toBe('lost');
      expect((await far.end()).code).toBe('lost');
      expect((await connect(transport, worker.address).end()).code).toBe('unreachable');
    });
    return;
  }

  if (name.endsWith('authkey')) return;

  test('a worker process that is killed: lost', async () => {
    const child = startChild('listen', place());
    const [address] = (await once(child, 'message')) as [string];
    const near = connect(make(), address);
    near.channel.send(Buffer.from('hello'));
    await near.until(() => near.packets.length === 1);
    child.kill('SIGKILL');
    expect((await near.end()).code).toBe('lost');
    expect(near.reasons.length).toBe(1);
  });

  test('a caller process that is killed: lost', async () => {
    const worker = await listen(make(), place());
    const child = startChild('connect', worker.address);
    const far = await worker.next();
    await far.until(() => far.packets.length === 1);
    child.kill('SIGKILL');
    expect((await far.end()).code).toBe('lost');
    expect(far.reasons.length).toBe(1);
  });

  if (name === 'NATS') return;

  test('the reason of an unreachable worker keeps the system error', async () => {
    const { message } = await connect(make(), deserted).end();
    const problem = deserted.startsWith('unix') ? 'ENOENT' : 'ECONNREFUSED';
    expect(message).toMatch(new RegExp(`: connect ${problem} .*[^.]\\.$`));
  });

  test('bytes that are no gRPC hurt nobody else', async () => {
    const { worker, near, far } = await pair(make(), place());
    const garbage = [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.alloc(100_000, 0xa5),
      // The greeting of HTTP/2, then frames that are none.
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(5000, 0xff)]),
    ];
    for (const bytes of garbage) {
      const socket = connectSocket(netAddress(worker.address));
      socket.on('error', () => {});
      socket.resume();
      socket.end(bytes);
      await new Promise((resolve) => socket.once('close', resolve));
    }
    near.channel.send(Buffer.from('still here'));
    await far.until(() => far.packets.length === 1);
    expect(worker.ends.length).toBe(1);
  });

  test('an endless message is cut off, and hurts nobody else', async () => {
    const { worker, near, far } = await pair(make(), place());
    const { error } = await bareLink(worker.address, (stream) =>
      stream.write(Buffer.alloc(20 * MiB)),
    );
    expect(error?.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    const victim = await worker.next(2);
    await victim.end();
    expect(victim.packets).toEqual([]);
    near.channel.send(Buffer.from('still here'));
    await far.until(() => far.packets.length === 1);
  });

  test('a caller that finishes without the mark of its end is lost', async () => {
    const worker = await listen(make(), place());
    const { error } = await bareLink(worker.address, (stream) => {
      stream.write(Buffer.from('hello'));
      stream.end();
    });
    expect(error).toBeUndefined();
    const far = await worker.next();
    expect((await far.end()).code).toBe('lost');
    expect(text(far.packets)).toEqual(['hello']);
  });

  test('unreachable means that no packet has reached anyone', async () => {
    const address = place();
    const server = new grpc.Server();
    const received: Buffer[] = [];
    // It takes the stream and never answers, as a worker that dies in that moment.
    const reached = new Promise<void>((resolve) => {
      const handler = (stream: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        stream.on('data', (bytes) => received.push(bytes));
        resolve();
      };
      server.register('/skein.v1.Worker/Link', handler, same, same, 'bidi');
    });
    const near = connect(make(), await bindBare(server, address));
    near.channel.send(Buffer.from('a task'));
    await reached;
    await otherTraffic(make(), place());
    server.forceShutdown();
    expect((await near.end()).code).toBe('unreachable');
    expect(received).toEqual([]);
  });

  test('another gRPC server is no worker', async () => {
    const server = new grpc.Server();
    cleanups.push(() => server.forceShutdown());
    const { code, message } = await connect(make(), await bindBare(server, place())).end();
    expect(code).toBe('unreachable');
    expect(message).toContain('not a Skein worker');
  });

  test('Stop and Status are answered', async () => {
    const worker = await listen(make(), place());
    const about = { host: 'a', pid: 7, tags: ['gpu'], extra: { zone: 'b' }, channel: {} };
    const breaches = { maxLinks: 2 };
    worker.status = {
      ...{ uid: 'w7', inFlight: 3, idleMs: 0, draining: true, uptimeMs: 9 },
      about,
      breaches,
    };
    const status = await unary(worker.address, '/skein.v1.Worker/Status', new Uint8Array());
    expect(readStatusReply(new PbfReader(status))).toEqual({
      uid: 'w7',
      in_flight: 3,
      idle_ms: 0,
      draining: true,
      uptime_ms: 9,
      about: {
        host: 'a',
        pid: 7,
        version: '',
        tags: ['gpu'],
        concurrency: 0,
        beat: '',
        extra: [{ key: 'zone', value: 'b' }],
        secure: false,
      },
      breaches: [{ limit: 'maxLinks', count: 2 }],
    });

    await unary(worker.address, '/skein.v1.Worker/Stop', stopRequest(250));
    await unary(worker.address, '/skein.v1.Worker/Stop', new Uint8Array());
    await unary(worker.address, '/skein.v1.Worker/Stop', stopRequest(0));
    expect(worker.stops).toEqual([250, undefined, 0]);

    const negative = unary(worker.address, '/skein.v1.Worker/Stop', stopRequest(-1));
    await expect(negative).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
    worker.onStop = () => Promise.reject(new Error('stuck'));
    const failing = unary(worker.address, '/skein.v1.Worker/Stop', new Uint8Array());
    await expect(failing).rejects.toThrow('stuck');
  });

  test('Stop is answered although the listener closes upon it', async () => {
    const worker = await listen(make(), place());
    let closed: Promise<void> | undefined;
    worker.onStop = async () => {
      closed = worker.listener?.close();
    };
    await unary(worker.address, '/skein.v1.Worker/Stop', new Uint8Array());
    await closed;
  });

  test('the health check tells whether tasks are taken', async () => {
    const worker = await listen(make(), place());
    const check = (service: string) => {
      const writer = new PbfWriter();
      writer.writeStringField(1, service);
      return unary(worker.address, '/grpc.health.v1.Health/Check', writer.finish());
    };
    expect([...(await check(''))]).toEqual([8, 1]);
    expect([...(await check('skein.v1.Worker'))]).toEqual([8, 1]);
    worker.status = { ...idle, draining: true };
    expect([...(await check(''))]).toEqual([8, 2]);
    await expect(check('other')).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
    const watch = unary(worker.address, '/grpc.health.v1.Health/Watch', new Uint8Array());
    await expect(watch).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED });
  });
});

test('a Unix socket is gone when its listener has closed', async () => {
  const path = join(directory, 'gone.sock');
  const worker = await listen(grpcTransport(), `unix://${path}`);
  expect(existsSync(path)).toBe(true);
  await worker.listener?.close();
  expect(existsSync(path)).toBe(false);
});

test('a Unix path that the system would cut off is refused', async () => {
  const address = `unix:///tmp/${'x'.repeat(103)}`;
  const listening = grpcTransport().listen(address, new Worker().service);
  await expect(listening).rejects.toThrow(ListenError);
  await expect(listening).rejects.toThrow('108 bytes');
  const { code, message } = await connect(grpcTransport(), address).end();
  expect(code).toBe('unreachable');
  expect(message).toContain('108 bytes');
});

test('a directory that is not there is named', async () => {
  const listening = grpcTransport().listen('unix:///no/such/x.sock', new Worker().service);
  await expect(listening).rejects.toThrow('no such directory');
});

test('IPv6 addresses stand in brackets', async () => {
  const { worker, near, far } = await pair(grpcTransport(), 'tcp://[::1]:0');
  expect(worker.address).toMatch(/^tcp:\/\/\[::1\]:[1-9]\d*$/);
  near.channel.send(Buffer.from('x'));
  await far.until(() => far.packets.length === 1);
});

function netAddress(address: string): { path: string } | { host: string; port: number } {
  if (address.startsWith('unix://')) return { path: address.slice('unix://'.length) };
  const { hostname, port } = new URL(address);
  return { host: hostname, port: Number(port) };
}

function bareClient(address: string): grpc.Client {
  const target = address.replace('tcp://', '').replace('unix://', 'unix:');
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
  });
  cleanups.push(() => client.close());
  return client;
}

/** Makes a server of grpc-js alone listen. Resolves with its address. */
function bindBare(server: grpc.Server, address: string): Promise<string> {
  const target = address.replace('tcp://', '').replace('unix://', 'unix:');
  return new Promise((resolve, reject) => {
    server.bindAsync(target, grpc.ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(address.replace(/:0$/, `:${port}`)) : reject(error),
    );
  });
}

const same = (bytes: Buffer) => bytes;

/** A link without our client; resolves when the stream has its status. */
function bareLink(
  address: string,
  act: (stream: grpc.ClientDuplexStream<Buffer, Buffer>) => void,
): Promise<{ error: grpc.ServiceError | undefined }> {
  return new Promise((resolve) => {
    const stream = bareClient(address).makeBidiStreamRequest(
      '/skein.v1.Worker/Link',
      same,
      same,
      new grpc.Metadata(),
    );
    let error: grpc.ServiceError | undefined;
    stream.on('data', () => {});
    stream.on('error', (failure: grpc.ServiceError) => {
      error = failure;
    });
    stream.on('status', () => resolve({ error }));
    act(stream);
  });
}

function unary(address: string, path: string, request: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const client = bareClient(address);
    client.makeUnaryRequest(path, same, same, Buffer.from(request), (error, reply) =>
      error === null ? resolve(reply as Buffer) : reject(error),
    );
  });
}

function stopRequest(graceMs: number): Uint8Array {
  const writer = new PbfWriter();
  writeStopRequest({ grace_ms: graceMs }, writer);
  return writer.finish();
}
