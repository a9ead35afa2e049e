/** A call on its chart, in a real proxy: scripted workers answer as the path says. */

import { createActor, fromCallback } from 'xstate';
import { PoolProxy } from '../../../src/actors/proxy.ts';
import { roundRobin } from '../../../src/balancing/policies.ts';
import type { CallRequest, RemoteGenerator } from '../../../src/routine/dispatcher.ts';
import { defaultLimits } from '../../../src/transport/link.ts';
import { encodeError } from '../../../src/wire/error.ts';
import {
  type FrameOf,
  GoodbyeReason,
  NackReason,
  type OutFrame,
  PROTOCOL_VERSION,
} from '../../../src/wire/frame.ts';
import { encodeArgs, encodeValue } from '../../../src/wire/value.ts';
import { expect } from './expect.ts';
import type { Inspected, Inspector } from './inspector.ts';
import type { Path, Step } from './paths.ts';
import { Impossible, type Rig } from './walk.ts';
import { Script, World } from './world.ts';

const MODULE = 'file:///routines.js';
const TIMEOUT_MS = 12_345;

/** A promise of the runtime, as its caller sees it. */
interface Outcome {
  state: 'pending' | 'resolved' | 'rejected';
}

export class CallRig implements Rig {
  readonly world = new World();
  readonly #inspector: Inspector;
  readonly #variant: number;
  readonly #generator: boolean;
  readonly #abort = new AbortController();
  readonly #outcomes: Outcome[] = [];
  /** The connections, each to a worker of its own. */
  readonly #wires: Script[] = [];
  #proxy!: PoolProxy;
  #steps: RemoteGenerator | undefined;
  /** Connections stay silent. */
  #silent = false;
  readonly #attempts: number;

  constructor(inspector: Inspector, variant: number, path: Path, attempts: number) {
    this.#inspector = inspector;
    this.#attempts = attempts;
    this.#variant = variant;
    // What only generators do; other paths are gone by functions too.
    const stepping = path.some(({ name }) => / step | result 1/.test(` ${name}`));
    this.#generator = stepping || variant === 2;
  }

  get subject(): Inspected {
    return this.#inspector.actorsOf('call')[0] as Inspected;
  }

  start(): void {
    const root = createActor(
      fromCallback(() => {}),
      { inspect: this.#inspector.inspect },
    ).start();
    const connect = () => {
      const wire = new Script();
      this.#wires.push(wire);
      if (!this.#silent) this.world.env.turn(() => this.#greet(wire));
      return wire;
    };
    this.#proxy = new PoolProxy(root, {
      env: this.world.env,
      limits: defaultLimits,
      transports: [{ schemes: ['script'], connect }],
      policy: roundRobin(),
      maxQueue: 1,
    });
    const request: CallRequest = {
      routine: { module: MODULE, name: 'work', key: `${MODULE}#work` },
      generator: this.#generator,
      attempts: this.#attempts,
      timeoutMs: TIMEOUT_MS,
      tag: '',
      caller: '',
      signal: this.#abort.signal,
    };
    const args = encodeArgs([]);
    if (this.#generator) {
      this.#steps = this.#proxy.generate(request, args);
      this.#ask();
    } else this.#note(this.#proxy.call(request, args));
  }

  act({ event, name }: Step, rest: Path): void {
    switch (event.type) {
      case 'assigned':
        return this.#assign(rest);
      case 'unavailable':
        return this.#proxy.send({ type: 'deserted', error: new Error('no worker will come') });
      case 'ack':
        return this.#answer({ ack: {} });
      case 'refused':
        return this.#refuse();
      case 'result': {
        if (this.#generator && this.#outcomes.at(-1)?.state !== 'pending') this.#ask();
        const value = { item: encodeValue(1) as Uint8Array };
        return this.#answer({ result: { value, done: name.endsWith(' 0') } });
      }
      case 'duplicate':
        return this.#answer({ nack: { reason: NackReason.DUPLICATE, message: '' } });
      case 'failed':
        return this.#fail(name.startsWith('offered'));
      case 'lost':
        this.#checkRepeatable();
        return this.#wire.end({ code: 'lost', message: 'cut' });
      case 'step':
        // One at a time: the one before is answered first.
        if (this.#outcomes.at(-1)?.state === 'pending') this.#answer({ result: {} });
        return this.#askLater();
      case 'cancel':
        return this.#cancel();
      default:
        throw new Error(`no way to make '${event.type}' happen`);
    }
  }

  check(state: string): void {
    const { calls, waiting, deadlines } = this.#proxy.stats;
    const over = /^(done|failed|cancelled)$/.test(state);
    expect(calls).toBe(over ? 0 : 1);
    expect(deadlines).toBe(calls);
    expect(waiting).toBe(state === 'routing' ? 1 : 0);
    const placed = this.#proxy.workers.reduce((sum, { inFlight }) => sum + inFlight, 0);
    expect(placed).toBe(/^(offered|running)$/.test(state) ? 1 : 0);
    this.#checkTasks();
    const states = this.#outcomes.map((outcome) => outcome.state);
    // All but the last step have been answered.
    expect(states.slice(0, -1).every((one) => one === 'resolved')).toBe(true);
    const last = states.at(-1);
    if (state === 'routing' || state === 'offered') expect(states).toEqual(['pending']);
    if (state === 'running' && !this.#generator) expect(last).toBe('pending');
    if (state === 'done') expect(last).toBe('resolved');
    // A generator that fails between two steps tells at the next.
    if ((state === 'failed' || state === 'cancelled') && !this.#generator) {
      expect(last).toBe('rejected');
    }
    if (over) expect(last).not.toBe('pending');
    if (state === 'cancelled') this.#checkCancelled();
  }

  /** What comes when all is over is dropped. */
  async finish(): Promise<void> {
    const ended = this.subject.taken.at(-1)?.to;
    const before = this.#outcomes.map(({ state }) => state);
    if (this.#proxy.stats.calls === 0 && this.#wires.at(-1)?.isOpen && this.#task) {
      const { droppedFrames } = this.#proxy.stats;
      this.#answer({ result: { done: true } });
      await this.world.settle();
      expect(this.#proxy.stats.droppedFrames).toBe(droppedFrames + 1);
      expect(this.subject.taken.at(-1)?.to).toBe(ended);
      expect(this.#outcomes.map(({ state }) => state)).toEqual(before);
    }
    this.#proxy.send({ type: 'abort', error: new Error('the test is over') });
    for (const wire of this.#wires) wire.end({ code: 'lost', message: 'the test is over' });
    await this.world.settle();
    await this.#proxy.closed;
    expect(this.#proxy.stats).toMatchObject({ calls: 0, waiting: 0, workers: 0, deadlines: 0 });
    expect(this.world.timers.size).toBe(0);
    for (const { state } of this.#outcomes) expect(state).not.toBe('pending');
  }

  get #wire(): Script {
    const wire = this.#wires.at(-1);
    if (wire === undefined) throw new Error('nobody has connected');
    return wire;
  }

  /** The call's Task on the connection that was made last. */
  get #task(): FrameOf<'task'> | undefined {
    return this.#wires.at(-1)?.framesOf('task').at(-1);
  }

  #note(promise: Promise<unknown>): void {
    const outcome: Outcome = { state: 'pending' };
    this.#outcomes.push(outcome);
    promise.then(
      () => {
        outcome.state = 'resolved';
      },
      () => {
        outcome.state = 'rejected';
      },
    );
  }

  #ask(): void {
    if (this.#steps) this.#note(this.#steps.step('next', undefined));
  }

  /** When the caller has heard of the step before. */
  #askLater(): void {
    this.world.run();
    this.#ask();
  }

  #greet(wire: Script): void {
    const uid = `worker-${this.#wires.indexOf(wire) + 1}`;
    const hello = { version: PROTOCOL_VERSION, uid, max_value_bytes: 1e9, window: 1e6 };
    wire.tell({ call: 0, hello });
  }

  /** A worker comes; none of those before takes the call. */
  #assign(rest: Path): void {
    const next = rest[0]?.event.type;
    this.#silent = this.#variant === 1 && (next === 'refused' || next === 'cancel');
    const uid = `worker-${this.#wires.length + 1}`;
    this.#proxy.send({ type: 'added', worker: { uid, address: 'script:worker', tags: [] } });
  }

  #answer(frame: object): void {
    const task = this.#task;
    if (task === undefined) throw new Impossible('the worker has no task');
    this.#wire.tell({ call: task.call, ...frame } as OutFrame);
  }

  #refuse(): void {
    if (this.#silent) return this.#wire.end({ code: 'unreachable', message: 'nobody answers' });
    if (this.#variant === 0) {
      return this.#answer({ nack: { reason: NackReason.BUSY, message: '' } });
    }
    if (this.#wires.length % 2 === 0) {
      return this.#answer({ nack: { reason: NackReason.DRAINING, message: '' } });
    }
    const reason = GoodbyeReason.DRAINING;
    this.#wire.tell({ call: 0, goodbye: { reason, message: 'it stops', last_call: 0 } });
  }

  #fail(offered: boolean): void {
    const error = { item: encodeError(new RangeError('too far')) };
    if (offered && this.#variant === 1) {
      this.#answer({ nack: { reason: NackReason.FAILED, message: '', error } });
    } else if (this.#variant === 2) {
      // What can't be read fails its own call.
      this.#answer({ error: { error: { item: Uint8Array.of(0xff) } } });
    } else this.#answer({ error: { error } });
  }

  #cancel(): void {
    if (this.#variant === 0) this.#abort.abort(new Error('no longer wanted'));
    else if (this.#steps) this.#steps.abandon();
    else this.world.fire(TIMEOUT_MS);
  }

  /** The model does not know that a call gives up its arguments. */
  #checkRepeatable(): void {
    const given = this.#outcomes.some(({ state }) => state === 'resolved');
    if (given && this.#attempts > 1) throw new Impossible('its consumer has values');
  }

  /** A task goes on only when it has surely not started, or may be started again. */
  #checkTasks(): void {
    const asked = this.#wires.filter((wire) => wire.framesOf('task').length > 0);
    for (const wire of asked) expect(wire.framesOf('task')).toHaveLength(1);
    const { taken } = this.subject;
    const again = this.#attempts > 1 ? /^(refused|lost)$/ : /^refused$/;
    const retries = taken.filter(({ event }) => again.test(event.type)).length;
    expect(asked.length).toBeLessThanOrEqual(retries + 1);
  }

  /** The worker that has the task hears that nobody waits for it. */
  #checkCancelled(): void {
    const before = this.subject.taken.at(-1)?.from;
    const written = before !== 'routing' && this.#task !== undefined;
    expect(this.#wires.at(-1)?.framesOf('cancel') ?? []).toHaveLength(written ? 1 : 0);
  }
}
