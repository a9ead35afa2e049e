/** A session on its chart: the caller's frames, the worker's wish to stop, and the end of the wire. */
import { defaultLimits } from '../../../src/transport/link.ts';
import { GoodbyeReason, NackReason } from '../../../src/wire/frame.ts';
import { expect } from './expect.ts';
import type { Inspected, Inspector } from './inspector.ts';
import type { Path, Step } from './paths.ts';
import { Impossible, type Rig } from './walk.ts';
import { LARGE, WorkerSide } from './worker-side.ts';

export class SessionRig implements Rig {
  readonly #side: WorkerSide;
  readonly #variant: number;
  /** Tasks that were offered when the session took none. */
  #late = 0;

  constructor(inspector: Inspector, variant: number) {
    this.#side = new WorkerSide(inspector);
    this.#variant = variant;
  }

  get world() {
    return this.#side.world;
  }

  get subject(): Inspected {
    return this.#side.actor('session');
  }

  start(): void {
    this.#side.open(false);
  }

  act({ event, from }: Step, rest: Path): void {
    const side = this.#side;
    switch (event.type) {
      case 'up':
        return side.greet();
      case 'task':
        return this.#task(from);
      case 'drain':
        // Without a task it is idle at once.
        if (from === 'open' && !(this.#variant > 0 && rest[0]?.event.type === 'idle')) this.#busy();
        return side.session.send({ type: 'drain' });
      case 'stop':
        if (from === 'open') this.#busy();
        return side.session.send({ type: 'stop', error: new Error(LARGE) });
      case 'idle':
        return side.endBodies(LARGE);
      case 'rest':
        return this.#rest();
      case 'down':
        return this.#down(from);
      default:
        throw new Error(`no way to make '${event.type}' happen`);
    }
  }

  check(state: string): void {
    const { session, wire, closed, places, bodies } = this.#side;
    expect(closed).toBe(state === 'closed' ? 1 : 0);
    expect(session.inFlight).toBe(places);
    expect(this.#side.nacks(NackReason.DRAINING)).toBe(this.#late);
    if (state === 'greeting') expect(wire.framesOf('hello')).toHaveLength(1);
    if (state === 'draining') expect(session.inFlight).toBeGreaterThan(0);
    if (state === 'greeting' || state === 'leaving') expect(session.inFlight).toBe(0);
    if (state !== 'closed') return;
    // A body may still run; it was told that nobody waits.
    for (const { signal, waits } of bodies) {
      if (waits.some(({ settled }) => !settled)) expect(signal?.aborted).toBe(true);
    }
  }

  async finish(): Promise<void> {
    await this.#side.finish();
  }

  #busy(): void {
    if (this.#side.session.inFlight === 0) this.#side.offer(false);
  }

  #task(from: string): void {
    // A channel that was closed brings nothing more.
    if (!this.#side.wire.isOpen) throw new Impossible('the link is closed');
    if (from !== 'open') this.#late += 1;
    this.#side.offer(false);
  }

  /** The time of an idle link passes, a part after the other. */
  #rest(): void {
    if (this.#side.session.inFlight > 0) throw new Impossible('a task runs');
    for (let part = 0; part < 5 && this.#side.closed === 0; part += 1) {
      this.world.fire(defaultLimits.idleLinkTimeoutMs / 4);
    }
    const [goodbye] = this.#side.wire.framesOf('goodbye');
    expect(goodbye?.goodbye).toMatchObject({ reason: GoodbyeReason.IDLE, last_call: 0 });
  }

  #down(from: string): void {
    const { wire } = this.#side;
    const reason = GoodbyeReason.CLOSED;
    if (this.#variant === 0) wire.end({ code: 'lost', message: 'cut' });
    else if (from === 'greeting') this.#side.greet(99);
    else if (from === 'leaving') {
      // With credit for it the large answer gets out, and the session closes the link.
      for (let i = 0; i < 20; i += 1) {
        wire.tell({ call: 0, credit: { bytes: 500 } });
        this.world.run();
      }
      expect(wire.closing).toBeDefined();
      wire.end({ code: 'closed', message: 'closed' });
    } else wire.tell({ call: 0, goodbye: { reason, message: 'the caller ends' } });
  }
}
