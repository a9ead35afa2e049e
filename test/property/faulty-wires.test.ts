/** Links on a transport that loses, repeats, cuts and overtakes packets. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeEnvelope } from '../../src/wire/frame.ts';
import { commands, follow, LIMITS, Sender } from './traffic.ts';
import { fates, harmful, harmless, Weather, whole } from './weather.ts';
import { Pair, type Side } from './wires.ts';

const LAST = 1_000_000;

/** Two links that follow the commands in this weather; then it clears up, and each says one thing more. */
function converse(list: Parameters<typeof follow>[0], weather: Weather) {
  const pair = new Pair({
    limits: LIMITS,
    faults: { caller: weather.fault(), worker: weather.fault() },
    onFrame: (side, frame) => {
      if (frame.call !== LAST) (side === pair.worker ? calls : answers).check(side.link, frame);
    },
  });
  const { caller, worker } = pair;
  const calls = new Sender(caller.link);
  const answers = new Sender(worker.link);
  follow(list, [calls, answers], (choice) => pair.step(choice));
  pair.settle();
  weather.end();
  for (const { link } of [caller, worker]) link.send({ call: LAST, next: {} });
  pair.settle();
  return { caller, worker, calls, answers };
}

/** What arrived is the beginning of what was sent, in order, nothing twice; whether it is all of it. */
function isComplete({ heard }: Side, { written, expected }: Sender): boolean {
  const numbers = heard.map(({ call }) => call);
  const all = [...written, LAST];
  deepStrictEqual(numbers, all.slice(0, numbers.length));
  return numbers.length === all.length && written.length === expected.length;
}

describe('a transport that', () => {
  test('repeats packets: each frame arrives once, and each repetition is counted', () => {
    const list = fates({ weight: 1, arbitrary: whole }, { weight: 1, arbitrary: harmless });
    let extra = 0;
    fc.assert(
      fc.property(commands, list, (commands, list) => {
        const weather = new Weather(list);
        const { caller, worker, calls, answers } = converse(commands, weather);
        deepStrictEqual([caller.ended, worker.ended], [[], []]);
        ok(isComplete(worker, calls) && isComplete(caller, answers));
        expect(caller.duplicates + worker.duplicates).toBe(weather.extra);
        extra += weather.extra;
      }),
      { numRuns: 500 },
    );
    expect(extra).toBeGreaterThan(500);
  });

  test('loses, cuts or delays packets too: all arrives, or the link ends and says why', () => {
    const list = fates(
      { weight: 40, arbitrary: whole },
      { weight: 3, arbitrary: harmless },
      { weight: 1, arbitrary: harmful },
    );
    let harmed = 0;
    fc.assert(
      fc.property(commands, list, (commands, list) => {
        const weather = new Weather(list);
        const { caller, worker, calls, answers } = converse(commands, weather);
        const complete = [isComplete(worker, calls), isComplete(caller, answers)];
        const ends = [...caller.ended, ...worker.ended];
        for (const end of ends) expect(end.code).toBe('protocol');
        if (!weather.harmed) deepStrictEqual(complete, [true, true]);
        // Nothing is missing on a side that goes on, unless the other side has ended the link.
        if (ends.length === 0) deepStrictEqual(complete, [true, true]);
        else expect(weather.harmed).toBe(true);
        if (weather.harmed) harmed += 1;
      }),
      { numRuns: 1_000 },
    );
    expect(harmed).toBeGreaterThan(300);
  });

  test.each<[string, (packet: Uint8Array) => Uint8Array[]]>([
    ['loses', () => []],
    ['cuts the number off', (packet) => [packet.slice(0, -2)]],
    ['cuts within the number of', (packet) => [packet.slice(0, -1)]],
    ['empties', () => [new Uint8Array()]],
  ])('%s one packet ends the link on the side that misses it', (_what, fault) => {
    const pair = new Pair({
      faults: {
        caller: (packet) => {
          const [frame] = decodeEnvelope(packet).frames;
          return frame?.call === 7 ? fault(packet) : [packet];
        },
      },
    });
    for (const call of [6, 7, 8]) {
      pair.caller.link.send({ call, next: {} });
      pair.run('caller');
    }
    expect(pair.worker.heard.map(({ call }) => call)).toEqual([6]);
    expect(pair.worker.ended).toMatchObject([{ code: 'protocol' }]);
    pair.settle();
    expect(pair.caller.ended).toMatchObject([{ code: 'protocol' }]);
  });

  test('brings a packet again after more than 127 others: it is dropped', () => {
    const packets: Uint8Array[] = [];
    const pair = new Pair({
      faults: {
        caller: (packet) => {
          packets.push(packet);
          return packets.length === 300 ? [packet, ...packets.slice(0, 299)] : [packet];
        },
      },
    });
    for (let call = 1; call <= 400; call += 1) {
      pair.caller.link.send({ call, next: {} });
      pair.settle();
    }
    expect(pair.worker.heard.map(({ call }) => call)).toEqual(
      Array.from({ length: 400 }, (_, i) => i + 1),
    );
    expect(pair.worker.duplicates).toBe(299);
    expect(pair.worker.ended).toEqual([]);
  });
});
