/**
 * A light actor in an XState system. It is what `createActor(logic, { parent })` gives, as far as
 * senders, subscribers and inspectors can see, at a fifth of the memory and a tenth of the time (Node 20): a
 * caller makes one for each call, a worker one for each task. See docs/decisions/003.
 *
 * Three things differ, on purpose. It is inspected when the root of its system was made with
 * `inspect`, not by inspectors that come later. A parent gets no `xstate.done.actor` event: supervisors hear of the
 * end through the effects of the chart. And an effect that throws ends the actor and throws on to
 * whoever sent the event, so that no failure vanishes.
 */
import type { AnyActorRef, Observer, Snapshot, Subscription } from 'xstate';

/** What the actor needs of its logic. */
export interface LightLogic<S, E, I> {
  getInitialSnapshot(scope: unknown, input: I): S;
  start?(snapshot: S, scope: { self: AnyActorRef }): void;
  transition(snapshot: S, event: E, scope: { self: AnyActorRef }): S;
}

/** XState's system as inspectors use it; these members are not in its public types. */
interface InspectedSystem {
  _bookId(): string;
  _sendInspectionEvent(event: { type: string; actorRef: unknown } & Record<string, unknown>): void;
}

type InspectedType = '@xstate.actor' | '@xstate.event' | '@xstate.snapshot';

type SnapshotObserver<S> = Partial<Observer<S>>;

export class LightActor<S extends Snapshot<unknown>, E extends { type: string }, I> {
  readonly logic: LightLogic<S, E, I>;
  readonly _parent: AnyActorRef;
  readonly system: AnyActorRef['system'];
  readonly #input: I;
  readonly #inspected: boolean;
  #id: string | undefined;
  #sessionId: string | undefined;
  #snapshot: S;
  #status: 'new' | 'running' | 'busy' | 'stopped' = 'new';
  /** Most of the time no more than one event waits: no list is made for it. */
  #waiting: E | undefined;
  #mailbox: E[] | undefined;
  #observers: Set<SnapshotObserver<S>> | undefined;

  constructor(logic: LightLogic<S, E, I>, parent: AnyActorRef, input: I, id?: string) {
    this.logic = logic;
    this._parent = parent;
    this.system = parent.system;
    this.#input = input;
    this.#inspected = LightActor.inspects(parent);
    this.#id = id;
    this.#snapshot = logic.getInitialSnapshot(this, input);
    this.#inspect('@xstate.actor');
  }

  get sessionId(): string {
    this.#sessionId ??= (this.system as unknown as InspectedSystem)._bookId();
    return this.#sessionId;
  }

  get id(): string {
    return this.#id ?? this.sessionId;
  }

  get src(): LightLogic<S, E, I> {
    return this.logic;
  }

  get ref(): this {
    return this;
  }

  /** The scope that logic sees. */
  get self(): AnyActorRef {
    return this as unknown as AnyActorRef;
  }

  start(): this {
    if (this.#status !== 'new') return this;
    this.#status = 'busy';
    const init = { type: 'xstate.init', input: this.#input };
    this.#inspect('@xstate.event', init);
    try {
      this.logic.start?.(this.#snapshot, this);
    } catch (error) {
      this.#fail(error);
    }
    this.#inspect('@xstate.snapshot', init);
    this.#drain();
    return this;
  }

  send(event: E): void {
    this.#inspect('@xstate.event', event);
    this._send(event);
  }

  /** How other actors of the system deliver. */
  _send(event: E): void {
    if (this.#status === 'running') {
      this.#status = 'busy';
      this.#process(event);
      if (this.#status === 'busy') this.#drain();
    } else if (this.#status !== 'stopped') {
      if (this.#waiting === undefined) this.#waiting = event;
      else {
        this.#mailbox ??= [];
        this.#mailbox.push(event);
      }
    }
  }

  getSnapshot(): S {
    return this.#snapshot;
  }

  getPersistedSnapshot(): S {
    return this.#snapshot;
  }

  subscribe(observer: SnapshotObserver<S> | ((snapshot: S) => void)): Subscription {
    const own = typeof observer === 'function' ? { next: observer } : observer;
    if (this.#status === 'stopped') own.complete?.();
    else {
      this.#observers ??= new Set();
      this.#observers.add(own);
    }
    return { unsubscribe: () => this.#observers?.delete(own) };
  }

  on(): Subscription {
    return { unsubscribe: () => {} };
  }

  stop(): never {
    throw new Error('A non-root actor cannot be stopped directly.');
  }

  toJSON(): unknown {
    return { xstate$$type: 1, id: this.id };
  }

  #drain(): void {
    for (let event = this.#waiting; event !== undefined; event = this.#waiting) {
      this.#waiting = this.#mailbox?.shift();
      this.#process(event);
    }
    this.#mailbox = undefined;
    if (this.#status === 'busy') this.#status = 'running';
  }

  #process(event: E): void {
    if (this.#status === 'stopped') return;
    try {
      this.#snapshot = this.logic.transition(this.#snapshot, event, this);
    } catch (error) {
      this.#fail(error);
    }
    if (this.#snapshot.status !== 'active') this.#status = 'stopped';
    this.#notify();
    this.#inspect('@xstate.snapshot', event);
  }

  #fail(error: unknown): never {
    this.#status = 'stopped';
    this.#waiting = undefined;
    this.#mailbox = undefined;
    this.#snapshot = { ...this.#snapshot, status: 'error', error };
    const observers = this.#observers;
    this.#observers = undefined;
    for (const observer of observers ?? []) observer.error?.(error);
    throw error;
  }

  #notify(): void {
    if (this.#observers === undefined) return;
    for (const observer of this.#observers) observer.next?.(this.#snapshot);
    if (this.#status !== 'stopped') return;
    for (const observer of this.#observers) observer.complete?.();
    this.#observers = undefined;
  }

  #inspect(type: InspectedType, event?: { type: string }): void {
    if (!this.#inspected) return;
    const system = this.system as unknown as InspectedSystem;
    const rest =
      event && (type === '@xstate.event' ? { event } : { event, snapshot: this.#snapshot });
    system._sendInspectionEvent({ type, actorRef: this, ...rest });
  }

  /** Whether an inspector was given when the system was made; without one nothing is told. */
  static inspects(actor: AnyActorRef): boolean {
    if (#inspected in actor)
      return (actor as unknown as LightActor<never, never, never>).#inspected;
    return (actor as { options?: { inspect?: unknown } }).options?.inspect !== undefined;
  }
}

/** Like XState's `createActor(logic, { parent, input, id })`; `start()` is up to the maker. */
export function createLightActor<S extends Snapshot<unknown>, E extends { type: string }, I>(
  logic: LightLogic<S, E, I>,
  parent: AnyActorRef,
  input: I,
  id?: string,
): AnyActorRef {
  return new LightActor(logic, parent, input, id) as unknown as AnyActorRef;
}
