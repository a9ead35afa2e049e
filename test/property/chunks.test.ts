/** Large values in chunks, between small frames, over links that are full at times and break. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ValueTooLarge } from '../../src/errors.ts';
import { defaultLimits, Link } from '../../src/transport/link.ts';
import { memoryTransport } from '../../src/transport/memory.ts';
import type { Channel } from '../../src/transport/transport.ts';
import type { Frame, OutFrame, OutValue } from '../../src/wire/frame.ts';
import { commands, follow, LIMITS, resultOf, run, Sender } from './traffic.ts';
import { Loop, Pair, type Side } from './wires.ts';

/** The most bytes of chunks that may be on the way: a chunk goes out while any of the window is left. */
const MOST_ON_THE_WAY = LIMITS.windowBytes - 1 + LIMITS.chunkBytes;

describe('values', () => {
  test('come back whole and in the order of their frames, whatever arrives when', () => {
    const capacity = fc.integer({ min: 1, max: 6 });
    const unwanted = fc.integer({ min: 2, max: 9 });
    fc.assert(
      fc.property(commands, capacity, unwanted, (list, capacity, unwanted) => {
        const pair = new Pair({
          limits: LIMITS,
          capacity,
          onFrame: (side, frame) => {
            // Some come for calls that are over.
            if (frame.call % unwanted === 0) side.link.discard(frame);
            else (side === pair.worker ? calls : answers).check(side.link, frame);
          },
        });
        const { caller, worker } = pair;
        const calls = new Sender(caller.link, () => countChunks(caller.end.frames));
        const answers = new Sender(worker.link, () => countChunks(worker.end.frames));
        follow(list, [calls, answers], (choice) => pair.step(choice));
        pair.settle();
        checkSide(calls, caller, worker);
        checkSide(answers, worker, caller);
      }),
      { numRuns: 600 },
    );
  });

  test('over the memory transport too', async () => {
    const loop = new Loop();
    const transport = memoryTransport(loop.env);
    const accepted: Channel[] = [];
    await transport.listen('memory://worker', {
      link: (channel) => {
        accepted.push(channel);
        open(channel, 'worker', 1);
      },
      stop: async () => {},
      status: () => ({ uid: 'worker', inFlight: 0, idleMs: 0, draining: false, uptimeMs: 0 }),
    });
    const links: Link[] = [];
    const heard: [number[], number[]] = [[], []];
    const senders: Sender[] = [];

    const open = (channel: Channel, uid: string, side: 0 | 1) => {
      const options = { env: loop.env, limits: { ...defaultLimits, ...LIMITS }, uid };
      const link: Link = new Link(channel, options, {
        up: () => {},
        frame: (frame) => {
          heard[side].push(frame.call);
          senders[1 - side]?.check(link, frame);
        },
        closed: ({ message }) => {
          throw new Error(message);
        },
      });
      links[side] = link;
    };

    fc.assert(
      fc.property(commands, (list) => {
        open(transport.connect('memory://worker'), 'caller', 0);
        while (loop.step());
        for (const side of [0, 1] as const) {
          heard[side].length = 0;
          senders[side] = new Sender(links[side] as Link);
        }
        const [calls, answers] = senders as [Sender, Sender];
        follow(list, [calls, answers], () => loop.step());
        while (loop.step());
        deepStrictEqual(heard, [answers.written, calls.written]);
        deepStrictEqual(calls.written.toSorted(byNumber), calls.expected);
        deepStrictEqual(answers.written.toSorted(byNumber), answers.expected);
      }),
      { numRuns: 300 },
    );
  });

  test('the window is used up: a chunk goes out while any of it is left', () => {
    const limits = { ...LIMITS, sharedWindowBytes: LIMITS.windowBytes };
    const pair = new Pair({ limits, capacity: 1_000 });
    new Sender(pair.caller.link).send([1_000]);
    while (pair.loop.step());
    expect(pair.caller.end.uncredited).toBe(64);
    expect(MOST_ON_THE_WAY).toBe(65);
    pair.settle();
    expect(pair.caller.end.uncredited).toBe(0);
  });

  test('a value leaves most of the window to small frames, until none has come for a while', () => {
    const pair = new Pair({ limits: LIMITS, capacity: 1_000 });
    new Sender(pair.caller.link).send([1_000]);
    while (pair.loop.step());
    expect(pair.caller.end.uncredited).toBe(32);
    pair.settle();
    expect(pair.caller.end.mostUncredited).toBeGreaterThan(32);
  });

  test('a small frame passes a large value', () => {
    const pair = new Pair({ limits: LIMITS, capacity: 1_000 });
    const sender = new Sender(pair.caller.link);
    sender.send([100_000]);
    for (let i = 0; i < 500; i += 1) pair.step(i);
    sender.send([1]);
    for (let i = 0; pair.worker.heard.length === 0; i += 1) pair.step(i);
    const [first] = pair.worker.heard;
    expect(first?.call).toBe(2);
    expect(countChunks(pair.caller.end.frames)).toBeLessThan(200);
    pair.settle();
    expect(pair.worker.heard.map(({ call }) => call)).toEqual([2, 1]);
  });

  test('one that is too large for the other side fails alone', () => {
    const limits = { ...LIMITS, maxValueBytes: 500 };
    const pair = new Pair({ limits });
    const write = () => {
      throw new Error('it must not be sent');
    };
    expect(() => pair.caller.link.transfer([new Uint8Array(501)], write, neverFails)).toThrow(
      ValueTooLarge,
    );
    pair.caller.link.transfer(
      [new Uint8Array(500)],
      (value) => pair.caller.link.send(resultOf(1, value)),
      neverFails,
    );
    pair.settle();
    expect(pair.worker.heard.length).toBe(1);
  });

  test('and when it is sent all the same, its bytes are dropped and it fails alone', () => {
    const outcomes: unknown[] = [];
    const onFrame = ({ link }: Side, frame: Frame) => {
      try {
        outcomes.push(frame.body === 'result' && link.received(frame.result.value)?.item?.length);
      } catch (error) {
        outcomes.push(error);
      }
    };
    const pair = new Pair({ limits: { ...LIMITS, maxValueBytes: 500 }, onFrame });
    const { link } = pair.caller;
    const data = new Uint8Array(16);
    // A caller that does not look at the worker's limit.
    for (const [transfer, total] of [
      [1, 512],
      [2, 496],
    ] as const) {
      for (let sent = 0; sent < total; sent += 16) {
        link.send({ call: 0, chunk: { transfer, data, ...(sent === 0 && { total }) } });
      }
      link.send(resultOf(transfer, { transfer, lengths: [total] }));
    }
    pair.settle();
    expect(outcomes).toEqual([expect.any(ValueTooLarge), 496]);
    expect(pair.worker.ended).toEqual([]);
  });
});

describe('transfers that nobody waits for', () => {
  // With room for two transfers, whatever stays behind shows soon.
  const limits = { ...LIMITS, openTransfers: 1 };

  /** Whether values still come after `leave` has done its worst 20 times. */
  function survives(leave: (pair: Pair, round: number) => void): boolean {
    const discarding = (side: Side, frame: Frame) => side.link.discard(frame);
    const pair = new Pair({ limits, onFrame: discarding });
    for (let round = 1; round <= 20; round += 1) leave(pair, round);
    pair.settle();
    return pair.worker.ended.length === 0 && pair.caller.end.uncredited === 0;
  }

  test('are given up, and leave nothing behind', () => {
    const left = survives((pair, round) => {
      const sender = new Sender(pair.caller.link);
      sender.send([200]);
      sender.send([200]);
      for (let i = 0; i < round; i += 1) pair.step(i);
      sender.abandon(0);
      sender.abandon(1);
      pair.settle();
    });
    expect(left).toBe(true);
  });

  type Carry = (call: number, value: OutValue) => OutFrame;

  function discards(carry: Carry): boolean {
    return survives((pair, round) => {
      const { link } = pair.caller;
      const write = (value: OutValue) => link.send(carry(round, value));
      link.transfer([new Uint8Array(200)], write, neverFails);
      pair.settle();
    });
  }

  test.each<[string, Carry]>([
    ['task', (call, args) => ({ call, task: { args } })],
    ['result', (call, value) => ({ call, result: { value } })],
    ['error', (call, error) => ({ call, error: { error } })],
    ['send', (call, value) => ({ call, send: { value } })],
    ['throw', (call, error) => ({ call, throw: { error } })],
    ['return', (call, value) => ({ call, return: { value } })],
    ['nack', (call, error) => ({ call, nack: { error } })],
  ])('are let go of when their %s frame is discarded', (_body, carry) => {
    expect(discards(carry)).toBe(true);
  });

  test('many at a time do not end the link', () => {
    const pair = new Pair({ limits, onFrame: ({ link }, frame) => link.discard(frame) });
    const sender = new Sender(pair.caller.link);
    for (let i = 0; i < 5; i += 1) sender.send([200]);
    pair.settle();
    expect(pair.worker.ended).toEqual([]);
    expect(pair.worker.heard.length).toBe(5);
  });
});

describe('a channel that is full', () => {
  const maxBacklogBytes = 10_000;
  const answer = 500;

  /** A worker that answers each frame. */
  function answering(): Pair {
    return new Pair({
      limits: { ...LIMITS, inlineBytes: answer, maxBacklogBytes },
      onFrame: ({ link }, frame) => {
        const item = new Uint8Array(answer);
        if (frame.body === 'next') link.send(resultOf(frame.call, { item }));
      },
    });
  }

  /** Sends `count` frames, and lets them through to the worker; nothing comes back. */
  function ask(pair: Pair, count: number): void {
    for (let call = 1; call <= count; call += 1) {
      pair.caller.link.send({ call, next: {} });
      pair.run('caller');
    }
  }

  test('holds frames back, and loses none', () => {
    const pair = answering();
    ask(pair, 10);
    expect(pair.worker.end.full).toBe(true);
    expect(pair.worker.end.waiting.length).toBe(4);
    pair.settle();
    expect(pair.caller.heard.map(({ call }) => call)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  // While the channel is full there is no flush, and only a flush looks at the backlog.
  test('makes a worker stop reading, so that what waits is bounded', () => {
    const pair = answering();
    ask(pair, 2_000);
    expect(pair.worker.end.paused).toBe(true);
    // Answers to what arrives in one turn, and the envelope that is not sealed yet.
    expect(pair.worker.link.backlog).toBeLessThan(maxBacklogBytes + 64 * 1024 + answer);
    pair.settle();
    expect(pair.worker.end.paused).toBe(false);
    expect(pair.caller.heard.length).toBe(2_000);
    expect(pair.worker.link.backlog).toBe(0);
  });

  test('never makes a caller stop reading', () => {
    const pair = answering();
    const item = new Uint8Array(answer);
    for (let call = 1; call <= 500; call += 1) {
      pair.caller.link.send(resultOf(call, { item }));
      pair.loop.step();
    }
    expect(pair.caller.link.backlog).toBeGreaterThan(maxBacklogBytes);
    expect(pair.caller.end.paused).toBe(false);
    pair.settle();
    expect(pair.worker.heard.length).toBe(500);
    expect(pair.caller.link.backlog).toBe(0);
  });
});

describe('writtenTask', () => {
  test('is no less than the number of any task that arrived, whenever the channel breaks', () => {
    const task = fc.record({ type: fc.constant('task' as const), size: fc.nat(100) });
    const list = fc.array(fc.oneof(task, run), { maxLength: 60, size: 'max' });
    const capacity = fc.integer({ min: 1, max: 6 });
    fc.assert(
      fc.property(list, capacity, (list, capacity) => {
        const pair = new Pair({ limits: LIMITS, capacity });
        const { link, end } = pair.caller;
        let number = 0;
        for (const one of list) {
          if (one.type === 'run') for (const choice of one.choices) pair.step(choice);
          if (one.type !== 'task') continue;
          // Calls get their numbers when their frames are sent, as from a peer.
          const frame = (args: OutValue | undefined): OutFrame => {
            number += 1;
            return { call: number, task: args === undefined ? {} : { args } };
          };
          link.deliver(new Uint8Array(one.size), frame, neverFails);
        }
        pair.cut();
        const arrived = lastTask(pair.worker.heard);
        expect(arrived).toBeLessThanOrEqual(link.writtenTask);
        // And exactly the last that the channel was given.
        expect(link.writtenTask).toBe(lastTask(end.frames));
        while (pair.loop.step());
        expect(link.writtenTask).toBe(lastTask(end.frames));
      }),
      { numRuns: 2_000 },
    );
  });
});

function lastTask(frames: readonly Frame[]): number {
  return frames.reduce((last, { body, call }) => (body === 'task' ? call : last), 0);
}

/** All that was sent has come, in order, and nothing of it is left on the way. */
function checkSide(sender: Sender, { end, ended }: Side, other: Side): void {
  deepStrictEqual(ended, []);
  deepStrictEqual(
    other.heard.map(({ call }) => call),
    sender.written,
  );
  deepStrictEqual(sender.written.toSorted(byNumber), sender.expected);
  expect(end.uncredited).toBe(0);
  expect(end.mostUncredited).toBeLessThanOrEqual(MOST_ON_THE_WAY);
  // A frame waits for one chunk at most.
  let chunks = 0;
  for (const frame of end.frames) {
    if (isChunk(frame)) chunks += 1;
    if (frame.body !== 'result') continue;
    expect(chunks - (sender.chunksBefore.get(frame.call) ?? 0)).toBeLessThan(2);
  }
}

function neverFails(): never {
  throw new Error('all its bytes are there');
}

const byNumber = (a: number, b: number) => a - b;

function countChunks(frames: readonly Frame[]): number {
  return frames.filter(isChunk).length;
}

function isChunk(frame: Frame): boolean {
  return frame.body === 'chunk' && !frame.chunk.abandoned;
}
