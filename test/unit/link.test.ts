import { describe, expect, test } from 'vitest';
import { EnvelopeWriter } from '../../src/wire/frame.ts';
import { Pair, type PairOptions } from '../property/wires.ts';

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
