/** An execution on its chart, in a real session: one task, whose loading and steps the test holds. */

import { RoutineNotFound } from '../../../src/errors.ts';
import type { OutFrame } from '../../../src/wire/frame.ts';
import { expect } from './expect.ts';
import type { Inspected, Inspector } from './inspector.ts';
import type { Step } from './paths.ts';
import type { Rig } from './walk.ts';
import { type Held, WorkerSide } from './worker-side.ts';

/** What the chart's guards look at, as the model sees it. */
export interface TaskKind {
  readonly generator: boolean;
  /** The first step came with the task. */
  readonly step?: object;
}

/** Bytes that are no value. */
const UNREADABLE = { item: Uint8Array.of(0xff) };

export class ExecutionRig implements Rig {
  readonly #side: WorkerSide;
  readonly #variant: number;
  readonly #kind: TaskKind;
  #call = 0;

  constructor(inspector: Inspector, variant: number, kind: TaskKind) {
    this.#side = new WorkerSide(inspector);
    this.#variant = variant;
    this.#kind = kind;
  }

  get world() {
    return this.#side.world;
  }

  get subject(): Inspected {
    return this.#side.actor('execution');
  }

  start(): void {
    const { generator, step } = this.#kind;
    this.#side.open(true);
    this.#side.greet();
    this.#call = this.#side.offer(generator, (call) => (step ? [{ call, next: {} }] : []));
  }

  act({ event, from, name }: Step): void {
    const side = this.#side;
    const { generator } = this.#kind;
    switch (event.type) {
      case 'loaded':
        side.declines = this.#variant > 0 ? Promise.resolve(false) : false;
        return side.loads[0]?.resolve(side.routine(generator ? 'steps' : 'work'));
      case 'declined':
        side.declines = this.#variant > 0 ? Promise.resolve(true) : true;
        return side.loads[0]?.resolve(side.routine(generator ? 'steps' : 'work'));
      case 'unloadable':
        // Found, but of another kind; or not found.
        if (this.#variant > 0) side.loads[0]?.resolve(side.routine(generator ? 'work' : 'steps'));
        else side.loads[0]?.reject(new RoutineNotFound('there is none'));
        return;
      case 'step':
        return this.#tell(this.#step());
      case 'yielded':
        return this.#wait?.resolve({ value: 1, done: false });
      case 'returned':
        return this.#wait?.resolve(generator ? { value: 1, done: true } : 1);
      case 'threw':
        if (from !== 'aborting' && this.#variant > 0) {
          // What can't travel is an error of the task.
          const value = () => {};
          if (!generator) return this.#wait?.resolve(value);
          return this.#wait?.resolve({ value, done: true });
        }
        return this.#wait?.reject(new RangeError('too far'));
      case 'cancel':
        if (this.#variant === 0) return this.#tell({ cancel: { reason: 0 } });
        return side.wire.end({ code: 'lost', message: 'cut' });
      case 'stop':
        return this.#stop(from, name.endsWith('0'));
      default:
        throw new Error(`no way to make '${event.type}' happen`);
    }
  }

  check(state: string): void {
    const { bodies, wire, session, places } = this.#side;
    const call = this.#call;
    const started = bodies.length;
    const ended = /^(done|failed|refused|aborted)$/.test(state);
    expect(session.inFlight).toBe(ended ? 0 : 1);
    expect(places).toBe(session.inFlight);
    expect(started).toBeLessThanOrEqual(1);
    const results = wire.framesOf('result', call);
    const done = results.filter(({ result }) => result.done).length;
    const errors = wire.framesOf('error', call).length;
    const nacks = wire.framesOf('nack', call).length;
    if (state === 'loading' || state === 'refused') expect(started).toBe(0);
    if (state === 'loading') expect([errors, nacks, results.length]).toEqual([0, 0, 0]);
    if (/^(running|suspended|stepping)$/.test(state)) {
      expect(started).toBe(1);
      expect(bodies[0]?.signal?.aborted).toBe(false);
      // The caller knows that it runs: by an Ack, or by a step's result.
      expect(wire.framesOf('ack', call).length + results.length).toBeGreaterThan(0);
    }
    if (state === 'aborting') expect(bodies[0]?.signal?.aborted).toBe(true);
    if (state === 'done') expect([done, errors, nacks]).toEqual([1, 0, 0]);
    if (state === 'failed') expect([done, errors, nacks]).toEqual([0, 1, 0]);
    if (state === 'refused') expect([done, errors, nacks]).toEqual([0, 0, 1]);
    if (state === 'aborting' || state === 'aborted') expect([done, nacks]).toEqual([0, 0]);
  }

  /** What a caller sends that has not heard of the end yet is no fault of its. */
  async finish(): Promise<void> {
    const { wire } = this.#side;
    const ended = /^(aborting|done|failed|refused|aborted)$/.test(
      this.subject.taken.at(-1)?.to ?? '',
    );
    if (ended && wire.isOpen) {
      this.#tell({ next: {} });
      this.#tell({ cancel: { reason: 0 } });
      this.#tell({ next: {} });
      await this.world.settle();
      expect(wire.isOpen).toBe(true);
    }
    await this.#side.finish();
  }

  /** What the body waits for, the latest of it. */
  get #wait(): Held<unknown> | undefined {
    return this.#side.bodies[0]?.waits.findLast(({ settled }) => !settled);
  }

  #tell(frame: object): void {
    this.#side.wire.tell({ call: this.#call, ...frame } as OutFrame);
  }

  #step(): object {
    const asked = this.subject.taken.filter(({ event }) => event.type === 'step').length;
    const kinds = [{ next: {} }, { send: {} }, { throw: {} }, { return: {} }];
    return kinds[(asked + this.#variant) % kinds.length] as object;
  }

  /** By a worker that ends; or by a step that can't be read, or a value that can't be sent. */
  #stop(from: string, first: boolean): void {
    const error = new Error('the worker stops');
    const byWorker = from === 'loading' ? first : this.#variant === 0 || from === 'running';
    if (byWorker) this.#side.session.send({ type: 'stop', error });
    else if (from === 'stepping') this.#wait?.resolve({ value: () => {}, done: false });
    else this.#tell({ send: { value: UNREADABLE } });
  }
}
