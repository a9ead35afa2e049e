/** A worker with several addresses is connected to at the first that answers. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { connectAny } from '../../src/transport/alternatives.ts';
import type { Channel, CloseReason } from '../../src/transport/transport.ts';
import { EnvelopeWriter, type OutFrame, PROTOCOL_VERSION } from '../../src/wire/frame.ts';
import { Script, World } from '../property/models/world.ts';

const hello = (uid = 'w'): OutFrame => ({
  call: 0,
  hello: { version: PROTOCOL_VERSION, uid, max_value_bytes: 1, window: 1 },
});
const unreachable: CloseReason = { code: 'unreachable', message: 'Nobody.' };

function packetOf(frame: OutFrame): Uint8Array {
  const writer = new EnvelopeWriter();
  writer.add(frame);
  return writer.finish(1);
}

/** The ends of the addresses by their schemes, and what the owner of the channel is told. */
class Rig {
  readonly world = new World();
  readonly at: Record<string, Script> = {};
  readonly told: unknown[] = [];
  readonly channel: Channel;

  constructor(schemes: string, addresses: [string, ...string[]], expects?: string) {
    const dialer = {
      schemes: [...schemes],
      connect: (address: string) => {
        if (address.endsWith('wrong')) throw new TypeError('no such address');
        const script = new Script();
        this.at[address[0] as string] = script;
        return script;
      },
    };
    this.channel = connectAny([dialer], addresses, { env: this.world.env, expects });
    this.channel.open({
      packet: (packet) => this.told.push(packet.length),
      drain: () => this.told.push('drain'),
      closed: ({ code, message }) => this.told.push(`${code}: ${message}`),
    });
  }

  /** Where it is connected to, and where it tries. */
  get open(): string {
    return Object.keys(this.at)
      .filter((key) => this.at[key]?.isOpen)
      .join('');
  }
}

const packet = expect.any(Number);

describe('a channel to any of several addresses', () => {
  test('is that of the dialer where there is only one', () => {
    const only = new Script();
    const dialer = { schemes: ['a'], connect: () => only };
    const { env } = new World();
    expect(connectAny([dialer], ['a://1'], { env })).toBe(only);
    expect(() => connectAny([dialer], ['b://1', 'c://1'], { env })).toThrow('b://1');
    expect(() => connectAny([dialer], ['nats://1'], { env })).toThrow('natsTransport');
  });

  test('tries the next when one fails, and takes the one that answers', () => {
    const rig = new Rig('abc', ['a://1', 'b://1', 'c://1'], 'w');
    expect(rig.open).toBe('a');
    rig.at.a?.end(unreachable);
    expect(rig.open).toBe('b');
    rig.at.b?.tell(hello());
    expect(rig.told).toEqual([packet]);
    expect(rig.channel.remote).toBe('b://1');
    expect(rig.world.timers.size).toBe(0);
    rig.at.b?.end({ code: 'lost', message: 'Cut.' });
    expect(rig.told).toEqual([packet, 'lost: Cut.']);
    expect(rig.at.c).toBeUndefined();
  });

  test('tries the next beside one that takes its time, and sends to each what was sent', () => {
    const rig = new Rig('ab', ['a://1', 'b://1']);
    const [one, two] = [packetOf({ call: 0, ping: {} }), packetOf({ call: 0, pong: {} })];
    let released = 0;
    expect(() => rig.channel.send(new Uint8Array(0))).toThrow(TypeError);
    rig.channel.send(one, () => {
      released += 1;
    });
    expect(released).toBe(1);
    // It has let go of the bytes.
    one.fill(0);
    rig.world.fire(250);
    expect(rig.open).toBe('ab');
    rig.at.a?.tell(hello());
    expect(rig.channel.remote).toBe('a://1');
    expect(rig.open).toBe('a');
    rig.channel.send(two);
    expect(rig.at.a?.sent.map(({ body }) => body)).toEqual(['ping', 'pong']);
    expect(rig.at.b?.sent.map(({ body }) => body)).toEqual(['ping']);
  });

  test('prefers an earlier one that answers a little later', () => {
    const rig = new Rig('ab', ['a://1', 'b://1']);
    rig.world.fire(250);
    rig.at.b?.tell(hello());
    expect(rig.told).toEqual([]);
    rig.at.a?.tell(hello());
    expect(rig.channel.remote).toBe('a://1');
    expect(rig.told).toEqual([packet]);
    expect(rig.open).toBe('a');
    expect(rig.world.timers.size).toBe(0);
  });

  test('takes the later one when the earlier has not answered by then, or fails', () => {
    for (const how of ['late', 'fails']) {
      const rig = new Rig('ab', ['a://1', 'b://1']);
      rig.world.fire(250);
      rig.at.b?.tell(hello());
      rig.at.b?.tell({ call: 0, ping: {} });
      if (how === 'late') rig.world.fire(100);
      else rig.at.a?.end(unreachable);
      expect(rig.told).toEqual([packet, packet]);
      expect(rig.channel.remote).toBe('b://1');
      expect(rig.open).toBe('b');
    }
  });

  test('passes over one at which another worker answers, or none', () => {
    const rig = new Rig('abc', ['a://1', 'b://1', 'c://1'], 'w');
    rig.at.a?.tell(hello('x'));
    expect(rig.open).toBe('b');
    rig.at.b?.tell({ call: 0, goodbye: { reason: 0, message: 'no' } });
    expect(rig.open).toBe('c');
    rig.at.c?.tell(hello('w'));
    expect(rig.channel.remote).toBe('c://1');
    expect(rig.told).toEqual([packet]);
  });

  test('leaves out addresses that no dialer serves, or takes', () => {
    const rig = new Rig('bc', ['a://1', 'b://wrong', 'c://1']);
    expect(rig.at.a).toBeUndefined();
    rig.world.run();
    rig.at.c?.tell(hello());
    expect(rig.channel.remote).toBe('c://1');
  });

  test.each([
    [['unreachable', 'unreachable'], 'unreachable'],
    [['refused', 'refused'], 'refused'],
    [['refused', 'unreachable'], 'unreachable'],
    [['lost', 'protocol'], 'unreachable'],
  ] as const)('that all have failed (%s) ends as %s', ([a, b], code) => {
    const rig = new Rig('ab', ['a://1', 'b://1']);
    rig.at.a?.end({ code: a, message: 'One.' });
    rig.at.b?.end({ code: b, message: 'Two.' });
    expect(rig.told).toEqual([`${code}: One. Two.`]);
    expect(rig.channel.send(packetOf(hello()))).toBe(false);
    expect(rig.world.timers.size).toBe(0);
  });

  test('that is closed early closes all that it has tried', () => {
    const rig = new Rig('abc', ['a://1', 'b://1', 'c://1']);
    rig.world.fire(250);
    rig.channel.close({ code: 'closed', message: 'Enough.' });
    expect(rig.open).toBe('');
    expect(rig.world.timers.size).toBe(0);
    rig.at.a?.end(unreachable);
    expect(rig.told).toEqual([]);
    rig.at.b?.end(unreachable);
    expect(rig.told).toEqual(['closed: Enough.']);
    expect(rig.at.c).toBeUndefined();
  });
});

test('whatever happens, one address is chosen or none, and the end is told once', () => {
  const step = fc.record({
    what: fc.constantFrom('hello', 'wrong', 'more', 'end', 'timer', 'close', 'run'),
    at: fc.constantFrom('a', 'b', 'c'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const rig = new Rig('abc', ['a://1', 'b://1', 'c://1'], 'w');
      /** Those whose Hello may have been taken. */
      const greeted = new Set<string>();
      for (const { what, at } of steps) {
        const end = rig.at[at];
        if (what === 'timer' && rig.world.timers.size > 0) rig.world.fire();
        else if (what === 'close') rig.channel.close({ code: 'closed', message: 'Enough.' });
        else if (what === 'run') rig.world.run();
        else if (what === 'hello') {
          if (end?.isOpen) greeted.add(`${at}://1`);
          end?.tell(hello('w'));
        } else if (what === 'wrong' && !greeted.has(`${at}://1`)) end?.tell(hello('x'));
        else if (what === 'more' && greeted.has(`${at}://1`)) end?.tell({ call: 0, ping: {} });
        else if (what === 'end') end?.end({ code: 'lost', message: 'Cut.' });
        if (rig.told.some((told) => typeof told === 'number')) {
          expect(greeted).toContain(rig.channel.remote);
          expect(rig.world.timers.size).toBe(0);
          expect(rig.open.length).toBeLessThanOrEqual(1);
          if (rig.open !== '') expect(rig.channel.remote).toBe(`${rig.open}://1`);
        }
      }
      // Whatever is left ends: then so has the channel.
      rig.channel.close({ code: 'closed', message: 'Over.' });
      for (const end of Object.values(rig.at)) end.end({ code: 'lost', message: 'Cut.' });
      rig.world.run();
      expect(rig.told.filter((told) => typeof told === 'string')).toHaveLength(1);
      expect(rig.told.at(-1)).toBeTypeOf('string');
      expect(rig.open).toBe('');
      expect(rig.world.timers.size).toBe(0);
    }),
  );
});
