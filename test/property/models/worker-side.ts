/** A real session with a scripted caller, and routines whose bodies a test opens and closes. */
import { expect } from 'vitest';
import { type AnyActorRef, createActor, fromCallback } from 'xstate';
import { Admission } from '../../../src/actors/admission.ts';
import { Session } from '../../../src/actors/session.ts';
import { processHome } from '../../../src/context/home.ts';
import type { RegisteredRoutine } from '../../../src/routine/registry.ts';
import { currentTask } from '../../../src/routine/task.ts';
import { defaultLimits } from '../../../src/transport/link.ts';
import { type NackReason, type OutFrame, PROTOCOL_VERSION } from '../../../src/wire/frame.ts';
import { encodeArgs } from '../../../src/wire/value.ts';
import type { Inspected, Inspector } from './inspector.ts';
import { Script, World } from './world.ts';

const MODULE = 'file:///routines.js';
/** Larger than what travels inside a frame: it waits for the caller's credit, which never comes. */
export const LARGE = 'x'.repeat(3_000);
const limits = { ...defaultLimits, inlineBytes: 1_000, chunkBytes: 500, sharedWindowBytes: 500 };

/** A promise that the test settles. */
export class Held<T> {
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;
  settled = false;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = (value) => {
      this.settled = true;
      resolve(value);
    };
    this.reject = (error) => {
      this.settled = true;
      reject(error);
    };
  });
}

/** A body that was started. */
export interface Body {
  readonly signal: AbortSignal | undefined;
  /** What the function waits for, or the steps of the generator, in order. */
  readonly waits: Held<unknown>[];
  readonly generator: boolean;
}

export class WorkerSide {
  readonly world = new World();
  readonly wire = new Script();
  readonly bodies: Body[] = [];
  /** Routines that are being found; empty unless `loads` are held. */
  readonly loads: Held<RegisteredRoutine>[] = [];
  /** What the worker's hook says of a task. */
  declines: boolean | Promise<boolean> = false;
  places = 0;
  closed = 0;
  calls = 0;
  readonly #inspector: Inspector;
  readonly #root: AnyActorRef;
  readonly #routines: { readonly [name: string]: RegisteredRoutine };
  session!: Session;

  constructor(inspector: Inspector) {
    this.#inspector = inspector;
    this.#root = createActor(
      fromCallback(() => {}),
      { inspect: inspector.inspect },
    ).start();
    const site = { module: MODULE, line: 1, column: 1 };
    this.#routines = {
      work: { module: MODULE, name: 'work', generator: false, site, fn: () => this.#begin(false) },
      steps: { module: MODULE, name: 'steps', generator: true, site, fn: () => this.#begin(true) },
    };
  }

  actor(id: string): Inspected {
    return this.#inspector.actorsOf(id)[0] as Inspected;
  }

  /** @param holdLoads the routines are found when the test says so, and not at once */
  open(holdLoads: boolean): void {
    this.session = new Session(this.#root, this.wire, {
      env: this.world.env,
      limits,
      uid: 'worker',
      callerLostAfterMs: Number.POSITIVE_INFINITY,
      exposeStacks: true,
      dispatcher: { home: processHome, strictContext: false } as never,
      admission: new Admission(),
      resolve: (_module, name) => {
        if (!holdLoads) return this.routine(name);
        const load = new Held<RegisteredRoutine>();
        this.loads.push(load);
        return load.promise;
      },
      declines: () => this.declines,
      takePlace: () => {
        this.places += 1;
        return true;
      },
      freePlace: () => {
        this.places -= 1;
      },
      closed: () => {
        this.closed += 1;
      },
    });
  }

  routine(name: string): RegisteredRoutine {
    return this.#routines[name] as RegisteredRoutine;
  }

  /** The caller says who it is, and declares its routines. It grants credit for one chunk. */
  greet(version = PROTOCOL_VERSION): void {
    this.wire.tell({
      call: 0,
      hello: { version, uid: 'caller', expects: '', max_value_bytes: 1e9, window: 1 },
    });
    if (version !== PROTOCOL_VERSION) return;
    this.wire.tell(
      { call: 0, routine: { number: 1, module: MODULE, name: 'work' } },
      { call: 0, routine: { number: 2, module: MODULE, name: 'steps' } },
    );
  }

  /** The caller offers a task, with frames for it in the same envelope. Returns its number. */
  offer(generator: boolean, with_: (call: number) => OutFrame[] = () => []): number {
    this.calls += 1;
    const call = this.calls;
    const args = { item: encodeArgs([]) as Uint8Array };
    const routine = generator ? 2 : 1;
    const task = { routine, args, sequence: call, generator };
    this.wire.tell({ call, task }, ...with_(call));
    return call;
  }

  /** Ends all bodies, in whatever they wait for. */
  endBodies(value?: unknown): void {
    for (const { waits, generator } of this.bodies) {
      for (const held of waits) {
        if (!held.settled) held.resolve(generator ? { value, done: true } : value);
      }
    }
  }

  /** All is over: nothing may be left of tasks, places and timers. */
  async finish(): Promise<void> {
    this.wire.end({ code: 'lost', message: 'the test is over' });
    this.endBodies();
    for (const load of this.loads) if (!load.settled) load.resolve(this.routine('work'));
    await this.world.settle();
    this.endBodies();
    await this.world.settle();
    expect(this.closed, 'the worker hears of the end once').toBe(1);
    expect(this.session.inFlight).toBe(0);
    expect(this.places).toBe(0);
    expect(this.world.timers.size).toBe(0);
    for (const { taken } of this.#inspector.actorsOf('execution')) {
      expect(taken.at(-1)?.to).toMatch(/^(done|failed|refused|aborted)$/);
    }
    for (let call = 1; call <= this.calls; call += 1) this.#checkAnswers(call);
  }

  /** A task has at most one outcome, and none after it. */
  #checkAnswers(call: number): void {
    const frames = this.wire.sent.filter((frame) => frame.call === call);
    const ends = frames.filter(
      (frame) =>
        frame.body === 'error' ||
        frame.body === 'nack' ||
        (frame.body === 'result' && frame.result.done),
    );
    expect(ends.length).toBeLessThanOrEqual(1);
    if (ends.length === 1) expect(frames.at(-1)).toBe(ends[0]);
    expect(this.wire.framesOf('ack', call).length).toBeLessThanOrEqual(1);
  }

  nacks(reason: NackReason): number {
    return this.wire.framesOf('nack').filter(({ nack }) => nack.reason === reason).length;
  }

  #begin(generator: boolean): unknown {
    const body: Body = { signal: currentTask()?.signal, waits: [], generator };
    this.bodies.push(body);
    const wait = () => {
      const held = new Held<unknown>();
      body.waits.push(held);
      return held.promise;
    };
    // Each step is a promise of its own, so that the test decides how it ends.
    return generator ? { next: wait, return: wait, throw: wait } : wait();
  }
}
