/**
 * Writes the trace: listens to the actors of a process by XState's inspector, to the bodies of its
 * tasks, and to the network. It changes nothing of what it sees.
 */
import { createHash } from 'node:crypto';
import type { AnyActorRef, InspectionEvent } from 'xstate';
import { LightActor } from '../actors/actor.ts';
import type { Call } from '../actors/call.ts';
import { FrameTokens } from '../context/frame-tokens.ts';
import { processHome } from '../context/home.ts';
import type { RegisteredRoutine } from '../routine/registry.ts';
import { currentScope, type TaskScope } from '../routine/task.ts';
import { withTokens } from '../wire/context.ts';
import { decodeEnvelope, NackReason } from '../wire/frame.ts';
import { type Encoded, encodeValue } from '../wire/value.ts';
import type { Clock } from './clock.ts';
import type { LinkEnds, NetworkObserver } from './connection.ts';
import type { SimulatedProcess } from './process.ts';
import type { Outcome, TraceBody, TraceEvent } from './trace.ts';

/** The calls on one connection. */
interface LinkNotes {
  epoch: string;
  /** The ids of calls by their numbers on the link. */
  readonly calls: Map<number, string>;
  /** The highest number of an envelope that has arrived from each side. */
  readonly sequences: Map<SimulatedProcess, number>;
}

interface CallNotes {
  readonly id: string;
  state: string;
}

export class Observer implements NetworkObserver {
  readonly trace: TraceEvent[] = [];
  /** Bytes of the largest value that a task has given. */
  largestValue = 0;
  readonly #clock: Clock;
  readonly #links = new Map<string, LinkNotes>();
  readonly #looks = new Map<SimulatedProcess, () => void>();
  readonly #tasks = new Map<SimulatedProcess, { running: number; most: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(process: SimulatedProcess | undefined, body: TraceBody): void {
    this.trace.push({ at: this.#clock.now, process: process?.name ?? 'world', ...body });
  }

  /** Has `look` called whenever a packet comes to a process or leaves it. */
  look(process: SimulatedProcess, look: () => void): void {
    this.#looks.set(process, look);
  }

  /** Most bodies that have run in a process at a time. */
  mostTasks(process: SimulatedProcess): number {
    return this.#tasks.get(process)?.most ?? 0;
  }

  /** A body has begun (1) or ended (-1). */
  countTask(process: SimulatedProcess, change: 1 | -1): void {
    const tasks = this.#tasks.get(process) ?? { running: 0, most: 0 };
    tasks.running += change;
    tasks.most = Math.max(tasks.most, tasks.running);
    this.#tasks.set(process, tasks);
  }

  /** An inspector for the actors of a process. */
  inspector(process: SimulatedProcess, epoch: () => string): (event: InspectionEvent) => void {
    const calls = new Map<AnyActorRef, CallNotes>();
    return (event) => {
      const actor = event.actorRef as AnyActorRef;
      if (event.type === '@xstate.actor') {
        const call = callOf(actor);
        if (call === undefined) return;
        const id = `${epoch()}-${call.sequence}`;
        calls.set(actor, { id, state: '' });
        this.#called(process, id, call);
      } else if (event.type === '@xstate.snapshot') {
        const notes = calls.get(actor);
        if (notes === undefined) return;
        const { value, context, status } = event.snapshot as unknown as {
          value: string;
          context: { worker: string };
          status: string;
        };
        if (value !== notes.state) {
          notes.state = value;
          this.note(process, { type: 'state', id: notes.id, state: value, worker: context.worker });
        }
        if (status !== 'active') calls.delete(actor);
      }
    };
  }

  /** The routine with a body that leaves its traces. */
  watch(process: SimulatedProcess, routine: RegisteredRoutine): RegisteredRoutine {
    const { fn } = routine;
    const observed = (...args: unknown[]): unknown => {
      const task = currentScope()?.task as TaskScope;
      const body = new BodyNotes(this, process, task, routine);
      return routine.generator ? body.generator(fn(...args)) : body.function(() => fn(...args));
    };
    return { ...routine, fn: observed };
  }

  /** What stands for a value that a task gave. */
  digest(value: unknown): string {
    if (value === undefined) return digestOf(undefined);
    try {
      const home = currentScope()?.home ?? processHome;
      const encoded = withTokens(new FrameTokens(home), () => encodeValue(value));
      this.largestValue = Math.max(this.largestValue, sizeOf(encoded));
      return digestOf(encoded);
    } catch {
      return 'unencodable';
    }
  }

  connected({ id, caller, worker }: LinkEnds): void {
    const reason = `${caller.name} to ${worker?.name}`;
    this.note(undefined, { type: 'link', link: id, state: 'up', reason });
  }

  disconnected({ id }: LinkEnds, side: SimulatedProcess, reason: string): void {
    this.note(side, { type: 'link', link: id, state: 'down', reason });
  }

  sent(link: LinkEnds, from: SimulatedProcess, packet: Uint8Array): void {
    this.#looks.get(from)?.();
    if (from !== link.caller) return;
    for (const frame of decodeEnvelope(packet).frames) {
      const notes = this.#notes(link);
      if (frame.body === 'hello') notes.epoch = frame.hello.uid;
      if (frame.body !== 'task') continue;
      const id = `${notes.epoch}-${frame.task.sequence}`;
      notes.calls.set(frame.call, id);
      this.note(from, { type: 'task', id, link: link.id, way: 'sent' });
    }
  }

  arrived(link: LinkEnds, from: SimulatedProcess, packet: Uint8Array, sentAt: number): void {
    const to = from === link.caller ? link.worker : link.caller;
    if (to) this.#looks.get(to)?.();
    const bodies: string[] = [];
    let again = false;
    try {
      const { frames, sequence } = decodeEnvelope(packet);
      again = this.#sawBefore(link, from, sequence);
      for (const frame of frames) {
        bodies.push(frame.body);
        const id = this.#notes(link).calls.get(frame.call);
        if (id === undefined) continue;
        if (frame.body === 'task')
          this.note(to, { type: 'task', id, link: link.id, way: 'arrived' });
        if (frame.body === 'nack') {
          const reason = NACK_NAMES.get(frame.nack.reason) ?? String(frame.nack.reason);
          this.note(to, { type: 'nack', id, reason });
        }
      }
    } catch {
      bodies.push('(malformed)');
    }
    const frames = summary(bodies);
    const sent = Math.round(sentAt * 1_000) / 1_000;
    const rest = { link: link.id, from: from.name, sent, frames };
    this.note(to, { type: 'packet', ...rest, ...(again && { again }) });
  }

  /** Whether an envelope with this number has arrived from this side before. */
  #sawBefore(link: LinkEnds, from: SimulatedProcess, sequence: number): boolean {
    const { sequences } = this.#notes(link);
    const last = sequences.get(from) ?? 0;
    sequences.set(from, Math.max(last, sequence));
    return sequence <= last;
  }

  #notes(link: LinkEnds): LinkNotes {
    let notes = this.#links.get(link.id);
    if (notes === undefined) {
      notes = { epoch: '', calls: new Map(), sequences: new Map() };
      this.#links.set(link.id, notes);
    }
    return notes;
  }

  #called(process: SimulatedProcess, id: string, call: Call): void {
    const { routine, generator, caller, attempts } = call.request;
    const idempotent = attempts > 1;
    const { name } = routine;
    this.note(process, { type: 'call', id, routine: name, generator, idempotent, parent: caller });
    const { waiter } = call;
    const { resolve, reject } = waiter;
    waiter.resolve = (received, done) => {
      const encoded = received?.item && [received.item, ...received.attachments];
      const digest = digestOf(encoded);
      if (done) this.note(process, { type: 'settle', id, outcome: 'result', digest });
      else this.note(process, { type: 'value', id, digest });
      resolve.call(waiter, received, done);
    };
    waiter.reject = (error) => {
      this.note(process, { type: 'settle', id, ...failure(error) });
      reject.call(waiter, error);
    };
  }
}

/** The traces of one body. */
class BodyNotes {
  readonly #observer: Observer;
  readonly #process: SimulatedProcess;
  readonly #id: string;
  readonly #attempt: number;
  readonly #routine: string;
  readonly #task: TaskScope;
  #started = false;
  #ended = false;

  constructor(
    observer: Observer,
    process: SimulatedProcess,
    task: TaskScope,
    routine: RegisteredRoutine,
  ) {
    this.#observer = observer;
    this.#process = process;
    this.#task = task;
    this.#id = task.id;
    this.#attempt = task.attempt;
    this.#routine = routine.name;
  }

  function(body: () => unknown): unknown {
    const returned = (value: unknown) => {
      this.#end({ outcome: 'result', digest: this.#observer.digest(value) });
      return value;
    };
    const threw = (error: unknown) => {
      this.#end(failure(error));
      throw error;
    };
    this.#start();
    let value: unknown;
    try {
      value = body();
    } catch (error) {
      return threw(error);
    }
    return value instanceof Promise ? value.then(returned, threw) : returned(value);
  }

  generator(body: AsyncGenerator) {
    const step = (kind: 'next' | 'return' | 'throw') => async (value: unknown) => {
      if (kind === 'next') this.#start();
      try {
        const result = await body[kind](value);
        if (result.done) {
          this.#end({ outcome: 'result', digest: this.#observer.digest(result.value) });
        } else
          this.#note({ type: 'yield', ...this.#name, digest: this.#observer.digest(result.value) });
        return result;
      } catch (error) {
        this.#end(failure(error));
        throw error;
      }
    };
    return { next: step('next'), return: step('return'), throw: step('throw') };
  }

  get #name() {
    return { id: this.#id, attempt: this.#attempt };
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#observer.countTask(this.#process, 1);
    this.#note({ type: 'start', ...this.#name, routine: this.#routine });
    this.#task.addEventListener('abort', () => this.#note({ type: 'abort', ...this.#name }));
  }

  #end(outcome: Outcome): void {
    if (!this.#started || this.#ended) return;
    this.#ended = true;
    this.#observer.countTask(this.#process, -1);
    this.#note({ type: 'end', ...this.#name, ...outcome });
  }

  #note(body: TraceBody): void {
    this.#observer.note(this.#process, body);
  }
}

const NACK_NAMES = new Map(
  Object.entries(NackReason as unknown as Record<string, number>).map(([name, value]) => [
    value,
    name,
  ]),
);

function callOf(actor: AnyActorRef): Call | undefined {
  // Those of XState can't be asked while they are made; none of them is a call.
  if (!(actor instanceof LightActor)) return undefined;
  const { refused, call } = actor.getSnapshot().context ?? {};
  return refused === undefined ? undefined : call;
}

function failure(error: unknown): Outcome {
  const { name, code = name, message, phase } = (error ?? {}) as Record<string, unknown>;
  const text = String(code ?? typeof error);
  return {
    outcome: 'error',
    digest: `${text}:${hash([Buffer.from(String(message ?? error))])}`,
    code: text,
    ...(phase !== undefined && { phase: String(phase) }),
  };
}

function digestOf(encoded: Encoded | undefined): string {
  if (encoded === undefined) return 'undefined';
  return hash(encoded instanceof Uint8Array ? [encoded] : encoded);
}

function sizeOf(encoded: Encoded): number {
  if (encoded instanceof Uint8Array) return encoded.length;
  return encoded.reduce((total, part) => total + part.length, 0);
}

function hash(parts: readonly Uint8Array[]): string {
  const sum = createHash('sha1');
  for (const part of parts) sum.update(part);
  return sum.digest('hex').slice(0, 8);
}

/** `3 result + ack`: each body once, with how often it came. */
function summary(bodies: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const body of bodies) counts.set(body, (counts.get(body) ?? 0) + 1);
  return [...counts].map(([body, count]) => (count === 1 ? body : `${count}*${body}`)).join('+');
}
