import { describe, expect, test } from 'vitest';
import { defaultLimits, Link } from '../../src/transport/link.ts';
import type { CloseReason } from '../../src/transport/transport.ts';
import { EnvelopeWriter, type OutFrame, PROTOCOL_VERSION } from '../../src/wire/frame.ts';
import { End, Loop, Pair, type PairOptions } from '../property/wires.ts';

/** The frames of a kind that a side has put on the wire. */
function sent(side: Pair['caller'], body: string): number {
  return side.end.frames.filter((frame) => frame.body === body).length;
}

describe('a ping', () => {
  test.each(['caller', 'worker'] as const)('of the %s is answered by the other link', (name) => {
    const pair = new Pair();
    const asks = pair[name];
    const answers = name === 'caller' ? pair.worker : pair.caller;
    const before = asks.link.packets;
    asks.link.ping();
    pair.settle();
    expect(asks.pongs).toBe(1);
    expect(asks.link.packets).toBe(before + 1);
    // Neither is a matter of who owns the links.
    expect([...asks.heard, ...answers.heard]).toEqual([]);
  });

  test('that comes with many others gets one answer for all: nothing piles up', () => {
    const options: PairOptions = { capacity: 1 };
    const pair = new Pair(options);
    const writer = new EnvelopeWriter();
    for (let i = 0; i < 10_000; i += 1) writer.add({ call: 0, ping: {} });
    const packet = writer.finish(2);
    pair.worker.end.take(packet, [packet]);
    pair.settle();
    expect(sent(pair.worker, 'pong')).toBe(1);
  });

  test('is not sent after the end of the link, which giving up is', () => {
    const pair = new Pair();
    pair.caller.link.giveUp('no sign of life');
    expect(pair.caller.ended).toEqual([{ code: 'lost', message: 'no sign of life' }]);
    pair.caller.link.ping();
    pair.settle();
    expect(sent(pair.caller, 'ping')).toBe(0);
    pair.caller.link.giveUp('again');
    expect(pair.caller.ended).toHaveLength(1);
  });
});

describe('a uid in Hello', () => {
  test('is shown in one line that a terminal obeys not', () => {
    const loop = new Loop();
    const end = new End(loop, 10);
    const ended: CloseReason[] = [];
    new Link(
      end,
      { env: loop.env, limits: defaultLimits, uid: 'caller', expects: 'worker' },
      { up: () => {}, frame: () => {}, closed: (reason) => ended.push(reason) },
    );
    const writer = new EnvelopeWriter();
    const uid = '\u001b[31m\n'.repeat(40);
    writer.add({
      call: 0,
      hello: { version: PROTOCOL_VERSION, uid, max_value_bytes: 1, window: 1 },
    });
    const packet = writer.finish(1);
    end.take(packet, [packet]);
    expect(ended).toMatchObject([{ code: 'refused' }]);
    expect(ended[0]?.message).toMatch(/^worker \P{Cc}{240} answered in place of worker$/u);
  });
});

describe('frames of no use', () => {
  const maxStrayFrames = 100;

  /** A worker's link, and what sends it pings; the time stands still unless the test moves it. */
  function linkOf() {
    const loop = new Loop();
    const clock = { ms: 0 };
    const end = new End(loop, 1_000);
    const ended: CloseReason[] = [];
    const link = new Link(
      end,
      {
        env: { ...loop.env, now: () => clock.ms },
        limits: { ...defaultLimits, maxStrayFrames },
        uid: 'worker',
        accepts: true,
      },
      { up: () => {}, frame: () => {}, closed: (reason) => ended.push(reason) },
    );
    let sequence = 0;
    const send = (...frames: OutFrame[]) => {
      const writer = new EnvelopeWriter();
      for (const frame of frames) writer.add(frame);
      sequence += 1;
      const packet = writer.finish(sequence);
      end.take(packet, [packet]);
      return { packet, ended: ended.length > 0 };
    };
    send({
      call: 0,
      hello: { version: PROTOCOL_VERSION, uid: 'caller', max_value_bytes: 1, window: 1 },
    });
    const pings = (count: number) => {
      for (let i = 0; i < count; i += 1) send({ call: 0, ping: {} });
      return ended.length > 0;
    };
    return { link, clock, ended, end, send, pings };
  }

  test('are as many as the limit, and no more', () => {
    const { pings, ended } = linkOf();
    expect(pings(maxStrayFrames)).toBe(false);
    expect(pings(1)).toBe(true);
    expect(ended).toMatchObject([
      { code: 'protocol', cause: { limit: 'maxStrayFrames', value: 101, max: 100 } },
    ]);
  });

  test('are 4 more for each call that was taken', () => {
    const { link, pings } = linkOf();
    link.took();
    expect(pings(maxStrayFrames + 4)).toBe(false);
    expect(pings(1)).toBe(true);
  });

  test('are 100 more for each second', () => {
    const { clock, pings } = linkOf();
    clock.ms = 2_000;
    expect(pings(maxStrayFrames + 200)).toBe(false);
    expect(pings(1)).toBe(true);
  });

  test('are also those of envelopes that came before', () => {
    const { end, send, ended } = linkOf();
    const { packet } = send({ call: 0, ping: {} });
    for (let i = 0; i < 49; i += 1) end.take(packet, [packet]);
    expect(ended).toEqual([]);
    end.take(packet, [packet]);
    expect(ended).toMatchObject([{ cause: { limit: 'maxStrayFrames' } }]);
  });
});
