/** Streams over NATS, between clients whose connections break and whose messages get lost. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Env } from '../../src/env.ts';
import { decodePacket, NatsKind } from '../../src/nats/packet.ts';
import { Stream, type StreamLimits } from '../../src/nats/stream.ts';
import type { CloseReason } from '../../src/transport/transport.ts';

const LIMITS: StreamLimits = {
  windowBytes: 600,
  maxPacketBytes: 2_000,
  closeTimeoutMs: 2_000,
  goneAfterMs: 5_000,
};

/** What a server takes in one message: packets are cut. */
const MAX_PAYLOAD = 148;

const EMPTY = decodePacket(new Uint8Array());

/** Time that passes when told to. */
class Clock {
  now = 0;
  #order = 0;
  #due: { at: number; order: number; run: () => void }[] = [];

  at(at: number, run: () => void): { cancel(): void } {
    const entry = { at, order: this.#order++, run };
    this.#due.push(entry);
    return {
      cancel: () => {
        this.#due = this.#due.filter((other) => other !== entry);
      },
    };
  }

  runUntil(end: number): void {
    for (;;) {
      const [next] = this.#due.sort((a, b) => a.at - b.at || a.order - b.order);
      if (next === undefined || next.at > end) break;
      this.#due.shift();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  get env(): Env {
    return {
      now: () => this.now,
      timer: (ms: number, fn: () => void) => this.at(this.now + ms, fn),
      soon: (fn: () => void) => void this.at(this.now, fn),
    } as unknown as Env;
  }
}

class Side {
  readonly stream: Stream;
  /** Packets as texts: their bytes are all the same. */
  readonly got: string[] = [];
  readonly sent: string[] = [];
  readonly closed: CloseReason[] = [];
  connected = true;
  /** Whether it still hears: its process lives. */
  alive = true;
  epoch = 0;
  released = 0;
  full = false;
  drains = 0;
  other!: Side;
  readonly #clock: Clock;
  readonly #fate: () => 'keep' | 'lose' | 'double';
  maxPayload: number;
  /** Messages that went out. */
  said = 0;

  constructor(clock: Clock, fate: () => 'keep' | 'lose' | 'double', maxPayload: number) {
    this.#clock = clock;
    this.#fate = fate;
    this.maxPayload = maxPayload;
    this.stream = new Stream(
      {
        env: clock.env,
        limits: LIMITS,
        publish: (message, asks) => this.#publish(message, asks),
        maxPayload: () => this.maxPayload,
      },
      {
        packet: (bytes) => this.got.push(textOf(bytes)),
        drain: () => {
          this.full = false;
          this.drains += 1;
        },
        closed: (reason) => this.closed.push(reason),
      },
    );
  }

  send(size: number): void {
    if (this.full) return;
    const packet = new Uint8Array(size).fill(this.sent.length % 256);
    this.full = !this.stream.send(packet, () => {
      this.released += 1;
    });
    this.sent.push(textOf(packet));
  }

  disconnect(): void {
    if (!this.connected) return;
    this.connected = false;
    this.epoch += 1;
    this.stream.down();
  }

  reconnect(): void {
    if (this.connected || !this.alive) return;
    this.connected = true;
    this.stream.up();
  }

  die(): void {
    this.disconnect();
    this.alive = false;
  }

  #publish(message: Uint8Array, asks: boolean): boolean {
    if (!this.connected || !this.alive) return false;
    expect(message.length).toBeLessThanOrEqual(this.maxPayload);
    this.said += 1;
    const fate = this.#fate();
    const { epoch, other } = this;
    const theirs = other.epoch;
    const arrive = () => {
      // What was on its way through a server that has gone is lost.
      if (epoch !== this.epoch) return;
      if (!other.connected || other.closed.length > 0) {
        if (asks) this.#clock.at(this.#clock.now + 1, () => this.stream.absent());
      } else if (theirs === other.epoch && fate !== 'lose') {
        other.stream.receive(decodePacket(message));
      }
    };
    this.#clock.at(this.#clock.now + 2, arrive);
    if (fate === 'double') this.#clock.at(this.#clock.now + 2, arrive);
    return true;
  }
}

function textOf(packet: Uint8Array): string {
  const [first] = packet;
  const same = packet.every((byte) => byte === first);
  return same ? `${packet.length} x ${first}` : `mixed up: ${packet}`;
}

interface Step {
  readonly after: number;
  readonly side: 0 | 1;
  readonly what: 'send' | 'cut' | 'pause' | 'resume' | 'server';
  readonly size: number;
}

const step = fc.record({
  after: fc.integer({ min: 0, max: 700 }),
  side: fc.constantFrom(0 as const, 1 as const),
  what: fc.oneof(
    { arbitrary: fc.constant('send' as const), weight: 12 },
    fc.constantFrom('cut' as const, 'pause' as const, 'resume' as const, 'server' as const),
  ),
  size: fc.integer({ min: 1, max: 700 }),
});
/** What becomes of each message, over and over. */
const fates = fc.array(
  fc.oneof(
    { arbitrary: fc.constant('keep' as const), weight: 12 },
    fc.constantFrom('lose' as const, 'double' as const),
  ),
  { minLength: 1, maxLength: 40 },
);

function pair(list: readonly ('keep' | 'lose' | 'double')[] = ['keep'], maxPayload = MAX_PAYLOAD) {
  const clock = new Clock();
  let messages = 0;
  let reliable = false;
  const fate = () => (reliable ? 'keep' : (list[messages++ % list.length] ?? 'keep'));
  const sides = [new Side(clock, fate, maxPayload), new Side(clock, fate, maxPayload)] as const;
  sides[0].other = sides[1];
  sides[1].other = sides[0];
  for (const side of sides) side.stream.begin(LIMITS.windowBytes);
  const heal = () => {
    reliable = true;
    for (const side of sides) {
      side.reconnect();
      side.stream.resume();
    }
  };
  return { clock, sides, heal };
}

test('bring all packets, once and in order, through losses and reconnects', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fates, (steps: Step[], list) => {
      const { clock, sides, heal } = pair(list);
      for (const { after, side, what, size } of steps) {
        clock.runUntil(clock.now + after);
        const one = sides[side];
        if (what === 'send') one.send(size);
        else if (what === 'cut') {
          one.disconnect();
          clock.at(clock.now + size * 3, () => one.reconnect());
        } else if (what === 'server') {
          for (const each of sides) each.disconnect();
          clock.at(clock.now + size, () => one.reconnect());
          clock.at(clock.now + size * 2, () => one.other.reconnect());
        } else if (what === 'pause') one.stream.pause();
        else one.stream.resume();
      }
      heal();
      clock.runUntil(clock.now + 20_000);
      for (const side of sides) {
        expect(side.closed).toEqual([]);
        expect(side.got).toEqual(side.other.sent);
        expect(side.released).toBe(side.sent.length);
        expect(side.full).toBe(false);
      }
      sides[0].stream.close({ code: 'closed', message: 'done' });
      clock.runUntil(clock.now + 5_000);
      expect(sides[0].closed).toEqual([{ code: 'closed', message: 'done' }]);
      expect(sides[1].closed).toEqual([{ code: 'closed', message: 'done' }]);
    }),
    { numRuns: 400 },
  );
});

test('that close bring what was sent before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 20 }),
      fates,
      (sizes, list) => {
        const { clock, sides } = pair(list);
        const [near, far] = sides;
        for (const size of sizes) near.send(size);
        near.stream.close({ code: 'closed', message: 'done' });
        clock.runUntil(60_000);
        expect(near.closed).toEqual([{ code: 'closed', message: 'done' }]);
        expect(far.closed).toHaveLength(1);
        const whole = far.closed[0]?.code === 'closed';
        if (whole) expect(far.got).toEqual(near.sent);
        else expect(near.sent.slice(0, far.got.length)).toEqual(far.got);
      },
    ),
    { numRuns: 300 },
  );
});

test('give up a peer that has gone, in the time that was set', () => {
  const { clock, sides } = pair();
  const [near, far] = sides;
  clock.runUntil(3_300);
  far.die();
  clock.runUntil(3_300 + LIMITS.goneAfterMs - 100);
  expect(near.closed).toEqual([]);
  clock.runUntil(3_300 + LIMITS.goneAfterMs + 2_100);
  expect(near.closed).toMatchObject([{ code: 'lost', message: /nobody hears it/ }]);
});

test('end where the process of the peer has, as soon as what it sent last is here and wanted', () => {
  const { clock, sides } = pair();
  const [near, far] = sides;
  clock.runUntil(3_300);
  near.stream.pause();
  far.send(100);
  far.send(200);
  far.connected = false;
  near.stream.orphan();
  clock.runUntil(3_600);
  expect([near.got, near.closed]).toEqual([[], []]);
  near.stream.resume();
  clock.runUntil(3_700);
  expect(near.got).toEqual(far.sent);
  expect(near.closed).toMatchObject([{ code: 'lost', message: /its process has ended/ }]);
});

test('wait for a peer that comes back before', () => {
  const { clock, sides } = pair();
  const [near, far] = sides;
  far.disconnect();
  clock.runUntil(LIMITS.goneAfterMs - 1_000);
  near.send(100);
  far.reconnect();
  clock.runUntil(30_000);
  expect(near.closed).toEqual([]);
  expect(far.got).toEqual(near.sent);
});

test('end when there is no server for too long', () => {
  const { clock, sides } = pair();
  for (const side of sides) side.disconnect();
  clock.runUntil(LIMITS.goneAfterMs + 1_000);
  for (const side of sides) {
    expect(side.closed).toMatchObject([
      { code: 'lost', message: /no connection to a NATS server/ },
    ]);
  }
});

test('hold back who sends more than the other side takes', () => {
  const { clock, sides } = pair();
  const [near, far] = sides;
  far.stream.pause();
  for (let i = 0; i < 100; i += 1) {
    near.send(100);
    clock.runUntil(clock.now + 50);
  }
  expect(near.sent.length).toBeLessThan(8);
  expect(far.got).toEqual([]);
  far.stream.resume();
  clock.runUntil(clock.now + 3_000);
  expect(near.drains).toBe(1);
  expect(far.got).toEqual(near.sent);
});

test('go on as soon as there is room', () => {
  const { clock, sides } = pair(['keep'], 10_000);
  const [near, far] = sides;
  // Each state is told once a second: it would be late by then.
  while (clock.now < 900 && near.sent.length < 40) {
    near.send(near.sent.length % 2 === 0 ? 50 : 560);
    clock.runUntil(clock.now + 1);
  }
  clock.runUntil(990);
  expect(near.sent).toHaveLength(40);
  expect(far.got).toEqual(near.sent);
});

test('end with a packet that is too large, or can not be handled', () => {
  const { clock, sides } = pair();
  const [near, far] = sides;
  near.send(LIMITS.maxPacketBytes + 1);
  clock.runUntil(2_000);
  expect(far.closed).toMatchObject([{ code: 'protocol' }]);
  expect(near.closed).toMatchObject([{ code: 'lost' }]);
});

test('are cut to what the server takes that is there when they go out', () => {
  const { clock, sides } = pair(['keep'], 10_000);
  const [near, far] = sides;
  for (const side of sides) side.disconnect();
  near.send(500);
  near.send(400);
  clock.runUntil(1_000);
  for (const side of sides) {
    side.maxPayload = 100;
    side.reconnect();
  }
  clock.runUntil(3_000);
  expect(near.closed).toEqual([]);
  expect(far.got).toEqual(near.sent);
});

test('give who asks for the same over and over not much more for it', () => {
  const { clock, sides } = pair();
  const [near, far] = sides;
  // Nothing that it hears is acknowledged.
  far.stream.pause();
  for (let i = 0; i < 6; i += 1) near.send(100);
  clock.runUntil(500);
  const before = near.said;
  for (let i = 0; i < 1_000; i += 1) {
    clock.runUntil(clock.now + 10);
    near.stream.receive({ ...EMPTY, kind: NatsKind.NATS_AGAIN, sequence: 1 + (i % 6) });
  }
  expect(near.said - before).toBeLessThan(100);
});

test('keep no more for the other side than is good for this one', () => {
  const clock = new Clock();
  const side = new Side(clock, () => 'keep', 1_000_000);
  side.other = side;
  side.stream.begin(2 ** 45);
  let held = 0;
  while (!side.full && held < 100_000_000) {
    side.send(100_000);
    held += 100_000;
  }
  expect(held).toBeLessThan(5_000_000);
});

test('end with who sends more than it may', () => {
  const { clock, sides } = pair(['keep'], 10_000);
  const [near, far] = sides;
  far.stream.pause();
  for (let sequence = 1; sequence <= 100; sequence += 1) {
    const data = new Uint8Array(100);
    far.stream.receive({ ...EMPTY, kind: NatsKind.NATS_DATA, sequence, data });
  }
  expect(far.closed).toMatchObject([{ code: 'protocol' }]);
  clock.runUntil(1_000);
  expect(near.closed).toMatchObject([{ code: 'lost' }]);
});
