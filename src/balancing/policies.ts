/** The policies that come with the runtime. */
import type { LoadBalancer, WorkerView } from './balancer.ts';

/** Each worker in turn; those that are stalled last. The default. */
export function roundRobin(): LoadBalancer {
  let turn = 0;
  return {
    *delegate(_task, { workers }) {
      let stalled: string[] | undefined;
      for (let tries = 0; tries < workers.length; tries += 1) {
        turn = (turn + 1) % workers.length;
        const worker = workers[turn] as WorkerView;
        if (!worker.stalled) {
          yield worker.uid;
          continue;
        }
        stalled ??= [];
        stalled.push(worker.uid);
      }
      if (stalled) yield* stalled;
    },
  };
}

/** The worker with the fewest calls of this pool; in turn among equals, and those that are stalled last. */
export function leastLoaded(): LoadBalancer {
  let turn = 0;
  return {
    *delegate(_task, { workers }) {
      turn = (turn + 1) % workers.length;
      let best = workers[turn] as WorkerView;
      // None is better than an idle one: of a thousand workers few are looked at.
      for (let i = 1; i < workers.length && !isIdle(best); i += 1) {
        const worker = workers[(turn + i) % workers.length] as WorkerView;
        if (compare(worker, best) < 0) best = worker;
      }
      yield best.uid;
      const rest = workers.filter((worker) => worker !== best);
      for (const worker of rest.sort(compare)) yield worker.uid;
    },
  };
}

function isIdle({ inFlight, stalled }: WorkerView): boolean {
  return inFlight === 0 && !stalled;
}

function compare(a: WorkerView, b: WorkerView): number {
  return a.stalled === b.stalled ? a.inFlight - b.inFlight : a.stalled ? 1 : -1;
}

/**
 * Tasks with the same tag go to the same worker, as long as it is there; when a worker comes or goes,
 * only its own share of the tags moves. One that is stalled keeps its tags: their calls wait. Tasks without a tag go by `fallback`.
 *
 * @param fallback default: `roundRobin()`
 */
export function stickyByTag(fallback: LoadBalancer = roundRobin()): LoadBalancer {
  /** The workers' own hashes and who has which tag, as long as they are the same workers. */
  let known: readonly WorkerView[] = [];
  let hashes = new Int32Array();
  const homes = new Map<string, string>();
  return {
    *delegate(task, context) {
      if (task.tag === '') {
        yield* fallback.delegate(task, context);
        return;
      }
      const { workers } = context;
      if (workers !== known) {
        known = workers;
        hashes = Int32Array.from(workers, ({ uid }) => hash(uid));
        homes.clear();
      }
      const home = homes.get(task.tag);
      if (home !== undefined) yield home;
      const tag = hash(task.tag);
      const own = hashes;
      // Rendezvous hashing: the highest weight of (tag, worker) wins.
      const ranked: WorkerWeight[] = workers.map(({ uid }, i) => ({
        uid,
        weight: weigh(tag, own[i] as number),
      }));
      ranked.sort((a, b) => b.weight - a.weight);
      if (workers === known) {
        if (homes.size >= MAX_HOMES) homes.clear();
        homes.set(task.tag, (ranked[0] as WorkerWeight).uid);
      }
      for (const { uid } of ranked) if (uid !== home) yield uid;
    },
  };
}

interface WorkerWeight {
  readonly uid: string;
  readonly weight: number;
}

/** Tags whose worker is remembered. */
const MAX_HOMES = 10_000;

function weigh(tag: number, worker: number): number {
  return mix(Math.imul(tag, 0x9e3779b1) ^ worker);
}

/** FNV-1a with a final mix, so that uids that differ in one letter are far apart. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  return mix(h);
}

function mix(h: number): number {
  let m = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  m = Math.imul(m ^ (m >>> 13), 0xc2b2ae35);
  return (m ^ (m >>> 16)) >>> 0;
}
