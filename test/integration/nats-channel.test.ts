/** Channels over NATS from outside: who is let in, and what strangers can do. */
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AuthenticationError, ListenError, WorkerUnreachable } from '../../src/errors.ts';
import { decodePacket, encodePacket, NatsKind, type NatsPacket } from '../../src/nats/packet.ts';
import { natsTransport } from '../../src/nats/transport.ts';
import { Authkey } from '../../src/security/authkey.ts';
import { workerStatus } from '../../src/transport/status.ts';
import { stopWorker } from '../../src/transport/stop.ts';
import type {
  CloseReason,
  Listener,
  ListenerService,
  Transport,
} from '../../src/transport/transport.ts';
import { rejection, until } from './helpers.ts';
import { type NatsServer, noNats, startNats } from './nats-server.ts';

const KEY = 'a secret of thirty-two characters';

describe.skipIf(noNats)('a channel over NATS', () => {
  let server: NatsServer;
  let raw: NatsConnection;
  const cleanups: (() => unknown)[] = [];
  beforeAll(async () => {
    server = await startNats();
    raw = await connect({ servers: server.url });
  });
  afterAll(async () => {
    await raw?.close();
    await server?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const over = (authkey?: string): Transport => {
    const transport = natsTransport({ servers: server.url, goneAfter: 1_000 });
    return authkey === undefined ? transport : transport.guarded(authkey);
  };

  interface Listening extends Listener {
    readonly links: string[];
    readonly packets: string[];
    readonly ends: CloseReason[];
    readonly stops: (number | undefined)[];
  }

  async function listen(authkey?: string, stop?: () => Promise<void>): Promise<Listening> {
    const heard = {
      links: [] as string[],
      packets: [] as string[],
      ends: [] as CloseReason[],
      stops: [] as (number | undefined)[],
    };
    const service: ListenerService = {
      link: (channel) => {
        heard.links.push(channel.remote);
        channel.open({
          packet: (bytes) => {
            heard.packets.push(Buffer.from(bytes).toString());
            channel.send(Buffer.from('answer'));
          },
          drain: () => {},
          closed: (reason) => heard.ends.push(reason),
        });
      },
      stop: async (grace) => {
        heard.stops.push(grace);
        await stop?.();
      },
      status: () => ({ uid: 'w', inFlight: 2, idleMs: 0, draining: false, uptimeMs: 9 }),
    };
    const listener = await over(authkey).listen('nats://', service);
    cleanups.push(() => listener.close());
    return { ...heard, address: listener.address, close: () => listener.close() };
  }

  /** The subjects of a caller that does as it likes. */
  function stranger({ address }: Listener, verb = 'link', caller = 'anyone', channel = 'mine') {
    const [cluster, worker, id] = address.slice('nats://'.length).split('/');
    const to = `skein.${cluster}.worker.${worker}.${id}.${verb}.${caller}.${channel}`;
    const own = `skein.${cluster}.caller.${caller}.${worker}.${channel}`;
    const heard: NatsPacket[] = [];
    const subscription = raw.subscribe(own, {
      callback: (_error, { data }: Msg) => {
        if (data.length > 0) heard.push(decodePacket(data));
      },
    });
    const say = (packet: Parameters<typeof encodePacket>[0]) =>
      raw.publish(to, encodePacket(packet));
    cleanups.push(() => {
      // Otherwise a worker that closes waits for it.
      say({ kind: NatsKind.NATS_RESET });
      subscription.unsubscribe();
    });
    return {
      to,
      heard,
      say,
      next: (kind: NatsPacket['kind']) =>
        until(() => {
          const packet = heard.find((one) => one.kind === kind);
          if (packet === undefined) throw new Error(`no ${kind} in ${JSON.stringify(heard)}`);
          return packet;
        }),
    };
  }

  const open = { kind: NatsKind.NATS_OPEN, version: 1, window: 10_000 };

  test.each([
    ['another', KEY, 'some other secret of such length', /another authkey/],
    ['none where one is wanted', KEY, undefined, /without its authkey/],
    ['one where there is none', undefined, KEY, /has no authkey/],
  ])('with %s: neither a link nor an answer', async (_name, theirs, own, message) => {
    const worker = await listen(theirs);
    const transport = over(own);
    const reason = await new Promise<CloseReason>((resolve) => {
      const channel = transport.connect(worker.address);
      channel.open({ packet: () => {}, drain: () => {}, closed: resolve });
      channel.send(Buffer.from('secret'));
    });
    expect(reason).toMatchObject({ code: 'refused', message: expect.stringMatching(message) });
    const asked = [
      workerStatus(worker.address, { transport }),
      stopWorker(worker.address, { transport }),
    ];
    for (const question of asked) {
      const error = await rejection(question);
      expect(error).toBeInstanceOf(AuthenticationError);
      expect((error as Error).message).toMatch(message);
    }
    expect(worker).toMatchObject({ packets: [], stops: [] });
    if (theirs !== undefined) expect(worker.links).toEqual([]);
  });

  test('the same on both sides: links, status and stop', async () => {
    const worker = await listen(KEY);
    const transport = over(KEY);
    expect(await workerStatus(worker.address, { transport })).toMatchObject({ inFlight: 2 });
    await stopWorker(worker.address, { transport, grace: 5 });
    expect(worker.stops).toEqual([5]);
  });

  test('a stop that fails says why', async () => {
    const worker = await listen(undefined, () => Promise.reject(new Error('not today')));
    const error = await rejection(stopWorker(worker.address, { transport: over() }));
    expect(error).toBeInstanceOf(WorkerUnreachable);
    expect((error as Error).message).toContain('not today');
  });

  test('a status that takes too long', async () => {
    const worker = await listen(undefined, () => new Promise(() => {}));
    const { call } = over();
    const error = await rejection(
      call?.(worker.address, 'stop', new Uint8Array(), { timeoutMs: 100 }) as Promise<unknown>,
    );
    expect((error as Error).message).toContain('within 100 ms');
  });

  test('who shows no authkey gets nothing, whatever it says', async () => {
    const worker = await listen(KEY);
    const { say, next, heard } = stranger(worker);
    say(open);
    const { nonce } = await next(NatsKind.NATS_CHALLENGE);
    expect(nonce).toHaveLength(32);
    say({ kind: NatsKind.NATS_DATA, sequence: 1, data: Buffer.from('secret') });
    say({ kind: NatsKind.NATS_PROVE, nonce: new Uint8Array(32), proof: new Uint8Array(32) });
    await next(NatsKind.NATS_REFUSE);
    expect(worker.links).toEqual([]);
    expect(heard.map(({ kind }) => kind)).not.toContain(NatsKind.NATS_ACCEPT);
  });

  test('a proof for one worker is worth nothing at another', async () => {
    const [one, other] = [await listen(KEY), await listen(KEY)];
    const asked = stranger(one, 'link', 'anyone', 'first');
    asked.say(open);
    const { nonce = new Uint8Array() } = await asked.next(NatsKind.NATS_CHALLENGE);
    const clientNonce = Buffer.alloc(32, 1);
    // As a caller makes it that means to reach the other worker, and reaches one that passes it on.
    const { to } = stranger(other, 'link', 'anyone', 'first');
    const proof = new Authkey(KEY).proof('client', { method: to, nonce, clientNonce });
    asked.say({ kind: NatsKind.NATS_PROVE, nonce: clientNonce, proof });
    await asked.next(NatsKind.NATS_REFUSE);
    expect(one.links).toEqual([]);
  });

  test.each([KEY, undefined])('of strangers the oldest is forgotten', async (key) => {
    const worker = await listen(key);
    const all = Array.from({ length: 300 }, (_, i) =>
      stranger(worker, 'link', 'anyone', `channel${i}`),
    );
    const [first, second, last] = [all[0], all[1], all.at(-1)];
    first?.say(open);
    // Who has said something is none.
    if (key === undefined)
      first?.say({ kind: NatsKind.NATS_DATA, sequence: 1, data: Buffer.of(1) });
    for (const { say } of all.slice(1)) say(open);
    await last?.next(key === undefined ? NatsKind.NATS_ACCEPT : NatsKind.NATS_CHALLENGE);
    second?.say({ kind: NatsKind.NATS_STATE });
    const reset = await second?.next(NatsKind.NATS_RESET);
    expect(reset?.reason).toMatch(/nothing of it|say nothing/);
    if (key !== undefined) return;
    expect(worker.ends).toHaveLength(300 - 1 - 256);
    expect(first?.heard.map(({ kind }) => kind)).not.toContain(NatsKind.NATS_RESET);
  });

  test('callers of one identity have so many channels, and no more', async () => {
    const worker = await listen();
    const data = { kind: NatsKind.NATS_DATA, sequence: 1, data: Buffer.from('hello') };
    const { to } = stranger(worker);
    const at = (channel: number) => to.replace(/mine$/, `channel${channel}`);
    for (let i = 0; i < 4_096; i += 1) {
      raw.publish(at(i), encodePacket(open));
      raw.publish(at(i), encodePacket(data));
    }
    const { say, next } = stranger(worker);
    say(open);
    expect((await next(NatsKind.NATS_REFUSE)).reason).toContain('4096 channels');
    const other = stranger(worker, 'link', 'another');
    other.say(open);
    await other.next(NatsKind.NATS_ACCEPT);
    for (let i = 0; i < 4_096; i += 1) {
      raw.publish(at(i), encodePacket({ kind: NatsKind.NATS_RESET }));
    }
  });

  test('another version of the protocol is refused, with the reason', async () => {
    const worker = await listen();
    const { say, next } = stranger(worker);
    say({ ...open, version: 2 });
    expect((await next(NatsKind.NATS_REFUSE)).reason).toContain('version 2');
  });

  test('a window that takes next to nothing is refused', async () => {
    const worker = await listen();
    const { say, next } = stranger(worker);
    say({ ...open, window: 3 });
    expect((await next(NatsKind.NATS_REFUSE)).reason).toContain('4096 bytes or more');
  });

  test('garbage, and what belongs to no channel, hurts nobody else', async () => {
    const worker = await listen();
    const { to, say, next } = stranger(worker);
    raw.publish(to, Buffer.alloc(1_000, 0xff));
    raw.publish(to);
    say({ kind: NatsKind.NATS_DATA, sequence: 1, data: Buffer.from('hello') });
    expect((await next(NatsKind.NATS_RESET)).reason).toContain('nothing of it');
    const channel = over().connect(worker.address);
    cleanups.push(() => channel.close({ code: 'closed', message: 'done' }));
    const answered = new Promise((resolve) =>
      channel.open({ packet: resolve, drain: () => {}, closed: () => {} }),
    );
    channel.send(Buffer.from('hello'));
    await answered;
    expect(worker.packets).toEqual(['hello']);
  });

  test('numbers that can not be right end the channel', async () => {
    const worker = await listen();
    const { say, next } = stranger(worker);
    say(open);
    await next(NatsKind.NATS_ACCEPT);
    say({ kind: NatsKind.NATS_STATE, taken: 7 });
    await next(NatsKind.NATS_RESET);
    expect(worker.ends).toMatchObject([{ code: 'protocol' }]);
  });

  test('an opening that comes twice is one channel', async () => {
    const worker = await listen();
    const { say, heard, next } = stranger(worker);
    say(open);
    say(open);
    say({ kind: NatsKind.NATS_DATA, sequence: 1, data: Buffer.from('once') });
    await next(NatsKind.NATS_DATA);
    expect(worker).toMatchObject({ links: [expect.any(String)], packets: ['once'] });
    expect(heard.filter(({ kind }) => kind === NatsKind.NATS_ACCEPT)).toHaveLength(2);
  });

  test('what was answered goes to who asked, whatever reply subject it gives', async () => {
    const worker = await listen();
    const { to, next } = stranger(worker);
    const others: string[] = [];
    raw.subscribe('somebody.else', {
      callback: (_error, { subject }) => void others.push(subject),
    });
    raw.publish(to, encodePacket(open), { reply: 'somebody.else' });
    await next(NatsKind.NATS_ACCEPT);
    await raw.flush();
    expect(others).toEqual([]);
  });

  /** A server that lets a worker do what the lists say, and callers anything. */
  const permitting = (publish: string, subscribe: string) => ({
    config: `authorization { users: [
      { user: gpu, password: p, permissions: { publish: [${publish}], subscribe: [${subscribe}] } }
      { user: anyone, password: p }
    ] }`,
  });

  test('a worker that may not listen says what to look at', async () => {
    await using confined = await startNats(permitting('">"', '"nothing"'));
    const servers = confined.url.replace('//', '//gpu:p@');
    const listening = natsTransport({ servers }).listen('nats://', {} as ListenerService);
    const error = await rejection(listening);
    expect(error).toBeInstanceOf(ListenError);
    expect((error as Error).message).toMatch(/identity \(gpu\) and cluster \(default\).*docs/);
  });

  test('permissions that go later end what they were for, and are told of', async () => {
    await using confined = await startNats(permitting('">"', '">"'));
    const at = (user: string) => confined.url.replace('//', `//${user}:p@`);
    const warned: string[] = [];
    const hear = ({ message }: Error) => warned.push(message);
    process.on('warning', hear);
    cleanups.push(() => process.removeListener('warning', hear));
    const ends: CloseReason[] = [];
    let heard = () => {};
    const linked = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const listener = await natsTransport({ servers: at('gpu') }).listen('nats://', {
      link: (channel) =>
        channel.open({ packet: heard, drain: () => {}, closed: (end) => ends.push(end) }),
      stop: async () => {},
      status: () => ({ uid: 'w', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
    });
    cleanups.push(() => listener.close());
    const channel = natsTransport({ servers: at('anyone') }).connect(listener.address);
    channel.open({ packet: () => {}, drain: () => {}, closed: () => {} });
    channel.send(Buffer.from('hello'));
    await linked;
    await confined.restart(permitting('"skein.default.announce.>"', '"nothing"'));
    await until(() => {
      expect(ends).toMatchObject([{ code: 'lost', message: expect.stringMatching(/permissions/) }]);
      expect(warned.some((message) => message.includes('hears no callers'))).toBe(true);
    });
  });
});
