/** A peer on its chart: a scripted worker, a balancer and calls that note what they are told. */

import { createActor, fromCallback } from 'xstate';
import type { BalancerEvent } from '../../../src/actors/balancer.ts';
import type { Call, CallEvent } from '../../../src/actors/call.ts';
import { Peer } from '../../../src/actors/peer.ts';
import { processHome } from '../../../src/context/home.ts';
import { defaultLimits } from '../../../src/transport/link.ts';
import { GoodbyeReason, NackReason, PROTOCOL_VERSION } from '../../../src/wire/frame.ts';
import { encodeArgs } from '../../../src/wire/value.ts';
import { expect } from './expect.ts';
import type { Inspected, Inspector } from './inspector.ts';
import type { Path, Step } from './paths.ts';
import { Impossible, type Rig } from './walk.ts';
import { Script, World } from './world.ts';

const UID = 'worker';
const MODULE = 'file:///routines.js';

/** A call, and what the peer told it. */
interface Offered {
  readonly call: Call;
  readonly told: CallEvent[];
}

export class PeerRig implements Rig {
  readonly world = new World();
  readonly #inspector: Inspector;
  readonly #variant: number;
  readonly #wires: Script[] = [];
  readonly #offered: Offered[] = [];
  #peer!: Peer;
  /** The balancer takes it for a worker that can be chosen. */
  #joined = false;
  #gone = 0;
  /** The next connection fails at once. */
  #barred = false;
  /** The worker said in its Goodbye that it had not seen the tasks on the way. */
  #unseen = false;

  constructor(inspector: Inspector, variant: number) {
    this.#inspector = inspector;
    this.#variant = variant;
  }

  get subject(): Inspected {
    return this.#inspector.actorsOf('peer')[0] as Inspected;
  }

  start(): void {
    const root = createActor(
      fromCallback(() => {}),
      { inspect: this.#inspector.inspect },
    ).start();
    const worker = { uid: UID, address: 'script:worker', tags: [] };
    const ports = {
      env: this.world.env,
      limits: defaultLimits,
      lostAfterMs: Number.POSITIVE_INFINITY,
      home: processHome,
      epoch: 'caller',
      modulesFor: () => undefined,
      connect: () => {
        if (this.#barred) throw new Error('no transport for it');
        const wire = new Script();
        this.#wires.push(wire);
        return wire;
      },
      isFull: () => false,
      balance: ({ type }: BalancerEvent) => {
        if (type === 'join') this.#joined = true;
        else if (type === 'leave') this.#joined = false;
      },
      gone: () => {
        this.#gone += 1;
      },
      tried: () => {},
      failed: () => {},
      answered: () => {},
      lost: () => {},
      dropped: () => {},
      duplicate: () => {},
    };
    this.#peer = new Peer(root, worker, ports, 0);
    this.#peer.announce();
  }

  act({ event, from, name }: Step, rest: Path): void {
    const peer = this.#peer;
    switch (event.type) {
      case 'offer':
      case 'connect':
        // It can fail while it is made.
        this.#barred = this.#variant === 2 && rest[0]?.name === 'connecting down 0';
        if (event.type === 'offer') this.#offer();
        else peer.send({ type: 'connect' });
        this.#endResting();
        if (from === 'idle' && !this.#barred) this.check('connecting');
        return;
      case 'up':
        return this.#greet(UID);
      case 'down':
        return this.#down(from, name);
      case 'drained':
        return this.#drained(from);
      case 'unlisted':
        return this.#unlist(from, name);
      case 'idle':
        return this.#answerAll();
      case 'rest':
        this.#answerAll();
        return this.#rest();
      case 'retry':
      case 'silent':
        return this.world.fire();
      case 'listed':
        return peer.send({ type: 'listed' });
      case 'died':
      case 'dismiss':
        return peer.send({ type: event.type, message: 'the test says so' });
      default:
        throw new Error(`no way to make '${event.type}' happen`);
    }
  }

  check(state: string): void {
    expect(this.#joined).toBe(/^(idle|connecting|ready)$/.test(state));
    expect(this.#gone).toBe(state === 'gone' ? 1 : 0);
    const open = this.#offered.filter(({ told }) => !told.some(ends));
    expect(this.#peer.view.inFlight).toBe(open.length);
    expect(this.#peer.calls).toHaveLength(open.length);
    if (/^(idle|cooling|gone)$/.test(state)) expect(open).toEqual([]);
    if (state === 'idle' || state === 'cooling') expect(this.#wire?.isOpen ?? false).toBe(false);
    if (state === 'retiring') expect(open.length).toBeGreaterThan(0);
    if (state === 'connecting') expect(this.#wire?.framesOf('task')).toEqual([]);
    if (state === 'ready') {
      const written = this.#wire?.framesOf('task').map((frame) => frame.call) ?? [];
      for (const { call } of open) expect(written).toContain(call.number);
    }
    this.#checkCalls();
  }

  async finish(): Promise<void> {
    this.#peer.send({ type: 'dismiss', message: 'the test is over' });
    for (const wire of this.#wires) wire.end({ code: 'lost', message: 'the test is over' });
    await this.world.settle();
    this.check('gone');
    for (const timer of this.world.timers) expect(timer).toBe('a timer that was left');
    for (const { told } of this.#offered) expect(told.filter(ends)).toHaveLength(1);
  }

  get #wire(): Script | undefined {
    return this.#wires.at(-1);
  }

  /** A call hears one outcome, and `lost` only when the worker may have its task. */
  #checkCalls(): void {
    for (const { call, told } of this.#offered) {
      const outcomes = told.filter(ends);
      expect(outcomes.length).toBeLessThanOrEqual(1);
      const [outcome] = outcomes;
      const frames = this.#wires.flatMap((wire) => wire.framesOf('task'));
      const written = frames.filter(({ task }) => task.sequence === call.sequence).length;
      expect(written).toBeLessThanOrEqual(1);
      if (outcome?.type === 'lost') expect(written).toBe(1);
      if (outcome?.type === 'refused' && !this.#unseen) {
        const nacked = told.some(({ type }) => type === 'refused') && this.#nacked.has(call);
        expect(nacked ? 0 : written).toBe(0);
      }
    }
  }

  readonly #nacked = new Set<Call>();
  /** Those that the peer has given up for want of calls, and that have not ended. */
  readonly #resting: Script[] = [];

  #offer(): void {
    const told: CallEvent[] = [];
    const { length } = this.#offered;
    const routine = { module: MODULE, name: 'work', key: `${MODULE}#work` };
    const generator = false;
    const call: Call = {
      sequence: length + 1,
      request: {
        routine,
        generator,
        attempts: 1,
        timeoutMs: undefined,
        tag: '',
        caller: '',
        signal: undefined,
      },
      waiter: { resolve: () => {}, reject: () => {} },
      args: encodeArgs([]),
      attempt: 1,
      actor: undefined,
      place: '',
      number: 0,
      declined: undefined,
      hunger: undefined,
      step: undefined,
      deadline: undefined,
      unlisten: undefined,
      abandon: undefined,
      context: undefined,
    };
    const hear = (event: CallEvent) => {
      told.push(event);
      // As a call does when it is over.
      if (ends(event) && event.type !== 'refused') this.#peer.release(call);
    };
    call.actor = { send: hear } as never;
    this.#offered.push({ call, told });
    this.#peer.offer(call);
    this.world.run();
  }

  #greet(uid: string): void {
    const hello = { version: PROTOCOL_VERSION, uid, max_value_bytes: 1e9, window: 1e6 };
    this.#wire?.tell({ call: 0, hello });
  }

  #down(from: string, name: string): void {
    const wire = this.#wire;
    const final = name.endsWith(' 0');
    if (from === 'connecting') {
      if (final) return this.#greet('another worker');
      if (this.#variant > 0) return this.world.fire(defaultLimits.helloTimeoutMs);
      return wire?.end({ code: 'unreachable', message: 'nobody answers' });
    }
    if (from === 'ready' && final) return this.#tire();
    const leaves = from === 'ready' ? name.endsWith(' 1') : this.#variant > 0;
    if (!leaves && this.#variant > 0) {
      return wire?.tell({ call: 0, goodbye: { reason: GoodbyeReason.CLOSED, message: 'closed' } });
    }
    if (!leaves) return wire?.end({ code: 'lost', message: 'cut' });
    this.#unseen = true;
    const reason = GoodbyeReason.DRAINING;
    wire?.tell({ call: 0, goodbye: { reason, message: 'the worker stops', last_call: 0 } });
  }

  /** The worker has had nothing to do for long. A call may be on its way there. */
  #tire(): void {
    const { length } = this.#offered;
    this.#answerAll();
    if (this.#variant > 0) this.#offer();
    this.#unseen = true;
    const last_call = length;
    const reason = GoodbyeReason.IDLE;
    this.#wire?.tell({ call: 0, goodbye: { reason, message: 'idle', last_call } });
    this.#wire?.end({ code: 'closed', message: 'idle' });
  }

  #drained(from: string): void {
    if (from === 'ready' && this.#inFlight.length === 0) this.#offer();
    const [call] = this.#inFlight;
    if (call === undefined) throw new Impossible('no call is left that the worker may refuse');
    this.#nacked.add(call);
    this.#wire?.tell({
      call: call.number,
      nack: { reason: NackReason.DRAINING, message: 'about to stop' },
    });
  }

  #unlist(from: string, name: string): void {
    if (from === 'ready') {
      if (name.endsWith(' 0')) this.#answerAll();
      // Two, so that one can be refused and it is not idle.
      else for (let i = this.#inFlight.length; i < 2; i += 1) this.#offer();
    }
    this.#peer.unlist();
  }

  #rest(): void {
    this.#resting.push(this.#wire as Script);
    this.#peer.rest();
    // The end may also come when there is another link.
    if (this.#variant === 0) this.#endResting();
  }

  #endResting(): void {
    for (const wire of this.#resting.splice(0)) wire.end({ code: 'lost', message: 'cut' });
  }

  get #inFlight(): Call[] {
    return this.#offered.filter(({ told }) => !told.some(ends)).map(({ call }) => call);
  }

  #answerAll(): void {
    for (const { number } of this.#inFlight) {
      this.#wire?.tell({ call: number, result: { done: true } });
    }
  }
}

/** Whether the call is over for the peer. */
function ends({ type }: CallEvent): boolean {
  return /^(refused|lost|failed|duplicate|result)$/.test(type);
}
