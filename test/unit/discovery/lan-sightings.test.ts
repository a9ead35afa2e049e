/** Until when a worker counts that was seen on a network. */
import { expect, test } from 'vitest';
import {
  MAX_WORKERS,
  type Sighting,
  Sightings,
} from '../../../src/discovery/adapters/lan-sightings.ts';
import { Roster } from '../../../src/discovery/roster.ts';

function scene() {
  const warnings: string[] = [];
  const roster = new Roster();
  const sightings = new Sightings({ roster, warn: (kind) => warnings.push(kind) });
  const workers = () => [...roster.workers].map(({ uid, address }) => `${uid} ${address}`);
  return { sightings, warnings, workers };
}

function sighting(uid: string, fields: Partial<Sighting> & { address?: string } = {}): Sighting {
  const { address = 'tcp://10.0.0.7:1', ...others } = fields;
  const worker = { uid, address, pid: 1, host: 'there', version: '1' };
  return { name: 'x', revision: 1, source: '10.0.0.7', network: 'a', worker, ...others };
}

test('it is gone when it has missed three questions in a row', () => {
  const { sightings, workers } = scene();
  sightings.seen(sighting('w'), 0);
  sightings.round('a', 1, 2);
  sightings.round('a', 3, 4);
  sightings.seen(sighting('w'), 5);
  sightings.round('a', 5, 6);
  sightings.round('a', 7, 8);
  sightings.round('a', 9, 10);
  expect(workers()).toHaveLength(1);
  sightings.round('a', 11, 12);
  expect(workers()).toEqual([]);
});

test('questions on another network say nothing of it', () => {
  const { sightings, workers } = scene();
  sightings.seen(sighting('w'), 0);
  for (let now = 1; now < 10; now += 1) sightings.round('b', now, now);
  expect(workers()).toHaveLength(1);
  sightings.left('b');
  expect(workers()).toHaveLength(1);
  sightings.left('a');
  expect(workers()).toEqual([]);
});

test('one that is heard on two networks has the address of the one that is left', () => {
  const { sightings, warnings, workers } = scene();
  const other = { source: '10.1.0.7', network: 'b', address: 'tcp://10.1.0.7:1' };
  sightings.seen(sighting('w'), 0);
  sightings.seen(sighting('w', other), 0);
  expect(workers()).toEqual(['w tcp://10.0.0.7:1']);
  sightings.left('a');
  expect(workers()).toEqual(['w tcp://10.1.0.7:1']);
  // A change comes on each, and the first that says it counts.
  sightings.seen(sighting('w'), 1);
  sightings.seen(sighting('w', { ...other, revision: 2, address: 'tcp://10.1.0.7:2' }), 1);
  expect(workers()).toEqual(['w tcp://10.1.0.7:2']);
  sightings.seen(sighting('w', { revision: 2, address: 'tcp://10.0.0.7:2' }), 1);
  expect(workers()).toEqual(['w tcp://10.1.0.7:2']);
  sightings.goodbye('w', '10.0.0.7', 2);
  expect(workers()).toEqual([]);
  expect(warnings).toEqual([]);
});

test('what was on its way when it said goodbye does not bring it back', () => {
  const { sightings, workers } = scene();
  sightings.seen(sighting('w', { revision: 5 }), 0);
  sightings.goodbye('W', '10.0.0.7', 1);
  sightings.seen(sighting('w', { revision: 5 }), 2);
  sightings.seen(sighting('w', { revision: 4 }), 2);
  expect(workers()).toEqual([]);
  sightings.seen(sighting('w', { revision: 6 }), 3);
  expect(workers()).toHaveLength(1);
  sightings.goodbye('w', '10.0.0.7', 4);
  sightings.round('a', 2_000, 2_000);
  sightings.seen(sighting('w', { revision: 6 }), 2_000);
  expect(workers()).toHaveLength(1);
});

test('there are never more than so many', () => {
  const { sightings, warnings, workers } = scene();
  for (let n = 0; n < MAX_WORKERS + 100; n += 1) sightings.seen(sighting(`w${n}`), 0);
  expect(workers()).toHaveLength(MAX_WORKERS);
  expect(new Set(warnings)).toEqual(new Set(['many']));
  for (let n = 0; n < 100; n += 1) {
    sightings.seen(sighting('w0', { source: `10.0.9.${n}`, address: `tcp://10.0.9.${n}:1` }), 0);
  }
  // As many ways to one worker.
  for (let n = 0; n < 8; n += 1) sightings.goodbye('w0', `10.0.9.${n + 50}`, 1);
  expect(workers()).toHaveLength(MAX_WORKERS);
  for (const asked of [1, 2, 3]) sightings.round('a', asked, asked);
  expect(workers()).toEqual([]);
  expect(sightings.size).toBe(0);
});
