/** Applies faults to a cluster. */
import type { CallerHost, Cluster, WorkerHost } from './cluster.ts';
import type { SimulatedProcess } from './process.ts';
import type { Fault } from './scenario.ts';

/** Strikes a cluster with faults at their times, and repairs what they broke. */
export class Faults {
  readonly #cluster: Cluster;
  /** What is to be done to make whole what is broken now. */
  readonly #repairs = new Set<() => void>();
  #ghosts = 0;
  /** Faults that have not struck, and workers that are asked to end and have not. */
  #pending = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  schedule(faults: readonly Fault[]): void {
    for (const fault of faults) {
      this.#pending += 1;
      this.#cluster.clock.after(fault.at, () => {
        this.#pending -= 1;
        this.strike(fault);
      });
    }
  }

  /** Whether all have struck, and what they broke is whole again. */
  get isOver(): boolean {
    return this.#pending === 0 && this.#repairs.size === 0;
  }

  /** Applies a fault now, whatever its time is. */
  strike(fault: Fault): void {
    const { at: _at, kind, ...rest } = fault;
    const text = Object.entries(rest).map(([name, value]) => `${name}=${value}`);
    this.#cluster.options.observer.note(undefined, { type: 'fault', kind, text: text.join(' ') });
    this.#apply(fault);
  }

  /** Makes everything whole that is still broken; what was asleep wakes up. */
  heal(): void {
    for (const repair of [...this.#repairs]) repair();
    for (const { process } of [...this.#cluster.callers, ...this.#cluster.workers]) process?.wake();
    this.#cluster.options.network.repair();
    for (const worker of this.#cluster.workers) worker.start();
    this.#cluster.repeat();
    this.#cluster.options.observer.note(undefined, { type: 'healed' });
  }

  #apply(fault: Fault): void {
    const { network } = this.#cluster.options;
    switch (fault.kind) {
      case 'crash': {
        const worker = this.#worker(fault.worker);
        worker.crash(fault.silent);
        return this.#after(fault.ms, () => worker.start());
      }
      case 'callerCrash':
        return this.#caller(fault.caller).crash(fault.silent);
      case 'drain': {
        const worker = this.#worker(fault.worker);
        const { process } = worker;
        this.#pending += 1;
        return void worker.stop().then(() => {
          this.#pending -= 1;
          // It may have crashed before, and be another one by now. What its code still does in this
          // moment, it does before it ends.
          const ends = () => {
            if (worker.process !== process) return;
            worker.end();
            this.#after(fault.ms, () => worker.start());
          };
          this.#after(0, ends);
        });
      }
      case 'stop':
        return this.#hold(this.#worker(fault.worker).process, 'stopped', fault.ms);
      case 'callerStop':
        return this.#hold(this.#caller(fault.caller).process, 'stopped', fault.ms);
      case 'block':
        return this.#hold(this.#worker(fault.worker).process, 'blocked', fault.ms);
      case 'callerBlock':
        return this.#hold(this.#caller(fault.caller).process, 'blocked', fault.ms);
      case 'slow':
        return this.#slow(this.#worker(fault.worker).process, fault.ms, fault.delayMs);
      case 'callerSlow':
        return this.#slow(this.#caller(fault.caller).process, fault.ms, fault.delayMs);
      case 'jump':
        return this.#worker(fault.worker).process?.jump(fault.byMs);
      case 'flap':
        return this.#flap(this.#caller(fault.caller), this.#worker(fault.worker), fault.ms);
      case 'ghost':
        return this.#haunt(this.#caller(fault.caller), this.#worker(fault.worker), fault);
    }
    const host = fault.nested ? this.#worker(fault.caller) : this.#caller(fault.caller);
    const caller = host.process;
    // What a worker calls itself takes no network.
    const worker = this.#worker(
      fault.worker + (host === this.#worker(fault.worker) ? 1 : 0),
    ).process;
    if (worker === undefined || caller === undefined || caller.isDead || caller === worker) return;
    const [from, to] =
      fault.kind !== 'cut' && fault.way === 'toCaller' ? [worker, caller] : [caller, worker];
    switch (fault.kind) {
      case 'cut':
        return network.cut(caller, worker);
      case 'halfOpen': {
        const ways =
          fault.way === 'both'
            ? ([
                [caller, worker],
                [worker, caller],
              ] as const)
            : ([[from, to]] as const);
        for (const [one, other] of ways) network.silence(one, other);
        return this.#after(fault.ms, () => {
          for (const [one, other] of ways) network.restore(one, other);
        });
      }
      default:
        return network.damage(from, to, fault.kind);
    }
  }

  #hold(process: SimulatedProcess | undefined, state: 'blocked' | 'stopped', ms: number): void {
    if (process === undefined) return;
    process.hold(state, ms);
    this.#after(ms, () => {});
  }

  #slow(process: SimulatedProcess | undefined, ms: number, delayMs: number): void {
    const { network } = this.#cluster.options;
    if (process === undefined) return;
    network.slow(process, delayMs);
    this.#after(ms, () => network.slow(process, -delayMs));
  }

  #flap(caller: CallerHost, worker: WorkerHost, ms: number): void {
    const address = worker.listed;
    if (address === undefined) return;
    caller.tell({ type: 'unlisted', uid: address.uid });
    this.#after(ms, () => {
      if (worker.listed === address) caller.tell({ type: 'added', worker: address });
    });
  }

  #haunt(caller: CallerHost, worker: WorkerHost, fault: { ms: number; answered: boolean }): void {
    this.#ghosts += 1;
    const uid = `ghost-${this.#ghosts}`;
    const address = fault.answered ? worker.address : `sim://${uid}`;
    caller.tell({ type: 'added', worker: { uid, address, tags: [] } });
    this.#after(fault.ms, () => caller.tell({ type: 'unlisted', uid }));
  }

  /** Does `repair` after `ms`, or when everything is healed. */
  #after(ms: number, repair: () => void): void {
    const once = () => {
      if (this.#repairs.delete(once)) repair();
    };
    this.#repairs.add(once);
    this.#cluster.clock.after(ms, once);
  }

  #worker(index: number): WorkerHost {
    const { workers } = this.#cluster;
    return workers[index % workers.length] as WorkerHost;
  }

  #caller(index: number): CallerHost {
    const { callers } = this.#cluster;
    return callers[index % callers.length] as CallerHost;
  }
}
