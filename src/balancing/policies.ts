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
      for (let i = 1; i < workers.length; i += 1) {
        const worker = workers[(turn + i) % workers.length] as WorkerView;
        if (compare(worker, best) < 0) best = worker;
      }
      yield best.uid;
      const rest = workers.filter((worker) => worker !== best);
      for (const worker of rest.sort(compare)) yield worker.uid;
    },
  };
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
  return {
    *delegate(task, context) {
      if (task.tag === '') {
        yield* fallback.delegate(task, context);
        return;
      }
      // Rendezvous hashing: the highest weight of (tag, worker) wins.
      const weigh = (worker: WorkerView) => hash(`${task.tag}\n${worker.uid}`);
      const ranked = context.workers.map((worker) => ({ worker, weight: weigh(worker) }));
      ranked.sort((a, b) => b.weight - a.weight);
      for (const { worker } of ranked) yield worker.uid;
    },
  };
}

/** FNV-1a with a final mix, so that uids that differ in one letter are far apart. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
