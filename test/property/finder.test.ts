/** Whatever discovery names and workers do: a pool has as many of those that it wants as it may. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Finder } from '../../src/actors/finder.ts';
import type { ProxyEvent } from '../../src/actors/proxy.ts';
import type { WorkerMetadata } from '../../src/discovery/discovery.ts';
import { Roster } from '../../src/discovery/roster.ts';
import { type Env, systemEnv, type Timer } from '../../src/env.ts';

const PLACES = 5;

/** What stands at one address: by its uid or its address alone it is named. */
interface Place {
  readonly named: 'uid' | 'address';
  uid: string;
  listed: boolean;
  wanted: boolean;
  answers: boolean;
  /** It has refused the link since something of it changed. */
  refused: boolean;
}

/** Timers that fire when the test says so. */
class Timers {
  readonly #pending = new Set<{ fn: () => void }>();
  readonly env: Env = {
    ...systemEnv,
    timer: (_ms, fn): Timer => {
      const timer = { fn };
      this.#pending.add(timer);
      return { cancel: () => this.#pending.delete(timer) };
    },
  };

  fire(): void {
    for (const timer of [...this.#pending]) if (this.#pending.delete(timer)) timer.fn();
  }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

const steps = fc.array(
  fc.record({
    place: fc.nat(PLACES - 1),
    what: fc.constantFrom('list', 'drop', 'want', 'answer', 'refuse', 'fail', 'restart', 'time'),
    wait: fc.boolean(),
  }),
  { maxLength: 40 },
);

test('a finder takes all that it wants, up to its lease, each once', async () => {
  const named = fc.array(fc.constantFrom('uid' as const, 'address' as const), {
    minLength: PLACES,
    maxLength: PLACES,
  });
  await fc.assert(
    fc.asyncProperty(
      named,
      fc.integer({ min: 1, max: PLACES }),
      steps,
      async (kinds, lease, list) => {
        const timers = new Timers();
        const roster = new Roster();
        const places = kinds.map(
          (named, i): Place => ({
            named,
            uid: `worker-${i}`,
            listed: false,
            wanted: true,
            answers: true,
            refused: false,
          }),
        );
        const address = (i: number) => `tcp://10.0.0.${i}:4000`;
        const tags = (place: Place) => (place.wanted ? ['wanted'] : []);
        let restarts = 0;
        const has = new Set<string>();
        const finder = new Finder({
          env: timers.env,
          discovery: roster,
          lease,
          version: '1.0.0',
          accept: (worker: WorkerMetadata) => worker.tags?.includes('wanted') === true,
          warn: () => {},
          probe: async ({ address: at }) => {
            const place = places[Number(at.split('.')[3]?.split(':')[0])] as Place;
            if (!place.answers) throw new Error('nobody answers');
            return { address: at, uid: place.uid, tags: tags(place) };
          },
          send: (event: ProxyEvent) => {
            if (event.type === 'added') {
              expect(has).not.toContain(event.worker.uid);
              has.add(event.worker.uid);
              expect(has.size).toBeLessThanOrEqual(lease);
            } else if (event.type === 'unlisted') {
              expect(has.delete(event.uid)).toBe(true);
            } else if (event.type === 'updated') expect(has).toContain(event.worker.uid);
          },
        });
        const announce = (i: number) => {
          const place = places[i] as Place;
          if (!place.listed) return;
          const { uid } = place;
          roster.put(
            place.named === 'address'
              ? { address: address(i) }
              : { address: address(i), uid, tags: tags(place) },
          );
        };
        /** The proxy gives up a worker that it has. */
        const lose = (place: Place) => {
          if (!has.delete(place.uid)) return;
          if (place.named === 'uid') place.refused = true;
          finder.gone(place.uid, { code: 'refused', message: 'for the test' });
        };
        finder.start();
        for (const { place: i, what, wait } of list) {
          const place = places[i] as Place;
          if (what === 'list' && !place.listed) {
            place.listed = true;
            place.refused = false;
            announce(i);
          } else if (what === 'drop' && place.listed) {
            place.listed = false;
            roster.drop(place.named === 'uid' ? place.uid : address(i));
          } else if (what === 'want') {
            // Of one that is known by its address, its next answer tells.
            if (place.named === 'address') lose(place);
            place.wanted = !place.wanted;
            if (place.named === 'uid' && place.listed) place.refused = false;
            if (place.named === 'uid') announce(i);
          } else if (what === 'answer') {
            if (place.named === 'address') lose(place);
            place.answers = !place.answers;
          } else if (what === 'refuse') {
            // What was said before of the worker is heard first.
            await turns();
            lose(place);
          } else if (what === 'fail' && has.has(place.uid)) {
            finder.failed(place.uid, { code: 'unreachable', message: 'for the test' });
          } else if (what === 'restart' && place.named === 'address') {
            lose(place);
            restarts += 1;
            place.uid = `worker-${i}-${restarts}`;
          } else if (what === 'time') timers.fire();
          if (wait) await turns();
        }
        const mayHave = places.filter(
          ({ named, listed, wanted, answers, refused }) =>
            listed && wanted && !refused && (named === 'uid' || answers),
        );
        for (let i = 0; i < 5; i += 1) {
          await turns();
          // What has changed since a worker was asked is noticed on the link.
          for (const uid of [...has]) {
            const place = places.find((one) => one.uid === uid);
            const { named, answers, wanted } = place ?? { named: 'address', answers: false };
            if (named === 'uid' || (answers && wanted)) continue;
            has.delete(uid);
            finder.gone(uid, { code: 'refused', message: 'another one answered' });
          }
          timers.fire();
        }
        await turns();
        const may = new Set(mayHave.map(({ uid }) => uid));
        for (const uid of has) expect(may).toContain(uid);
        expect(has.size).toBe(Math.min(lease, may.size));
        expect(new Set(finder.taken.map(({ uid }) => uid))).toEqual(has);
        finder.stop();
        expect(has.size).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});
