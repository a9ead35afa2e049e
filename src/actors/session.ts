/**
 * The worker's end of a link to one caller: admits tasks, each once, and starts their executions.
 * Charted in docs/statecharts.md.
 */
import type { AnyActorRef } from 'xstate';
import type { Load } from '../context/manifest.ts';
import { hasVariables } from '../context/variable.ts';
import type { WorkerAbout } from '../discovery/discovery.ts';
import type { Env } from '../env.ts';
import { LimitExceeded, ProtocolError, SerializationError, SkeinError } from '../errors.ts';
import type { Dispatcher } from '../routine/dispatcher.ts';
import { loadingFor } from '../routine/loading.ts';
import { fromDispatch } from '../routine/nested-options.ts';
import { decode, decodeThrown } from '../routine/outcome.ts';
import type { RegisteredRoutine } from '../routine/registry.ts';
import { currentScope, runInScope, type Scope, TaskScope } from '../routine/task.ts';
import type { ModulePolicy } from '../routine/whereabouts.ts';
import { exceeded } from '../security/breaches.ts';
import { callerKey } from '../security/caller-key.ts';
import type { PeerIdentity } from '../security/names.ts';
import { type Limits, Link } from '../transport/link.ts';
import type { Channel, CloseReason } from '../transport/transport.ts';
import { encodeError } from '../wire/error.ts';
import {
  CancelReason,
  type Frame,
  type FrameOf,
  GoodbyeReason,
  NackReason,
  type OutValue,
  type Task,
  type Value,
} from '../wire/frame.ts';
import { type DecodeOptions, MAX_DEPTH } from '../wire/value.ts';
import { createLightActor } from './actor.ts';
import type { Admission } from './admission.ts';
import {
  aborted,
  checkKind,
  type Execution,
  type ExecutionStep,
  executionChart,
  executionEffects,
  inboundOf,
} from './execution.ts';
import { Failures } from './failures.ts';
import { Idleness } from './idleness.ts';
import { defineChart, type EventOf, toLogic } from './statechart.ts';
import { Watch } from './watch.ts';

export type SessionEvent =
  /** The caller has greeted. */
  | { type: 'up'; epoch: string }
  /** The caller offers a task. */
  | { type: 'task'; frame: FrameOf<'task'> }
  /** No new tasks; those in progress go on. */
  | { type: 'drain' }
  /** The last task has ended. */
  | { type: 'idle' }
  /** For long there was no task, and nothing was heard but pings. */
  | { type: 'rest' }
  /** Ends the tasks in progress, and tells the caller. */
  | { type: 'stop'; error: unknown }
  /** The link ended. */
  | { type: 'down'; reason: CloseReason };

export const sessionChart = defineChart<null, SessionEvent>({
  id: 'session',
  initial: 'greeting',
  context: () => null,
  states: {
    greeting: {
      description: 'waits for the caller to say who it is',
      on: {
        up: { target: 'open', effects: ['meet'] },
        drain: { target: 'closed', effects: ['leave'] },
        stop: { target: 'closed', effects: ['leave'] },
        down: { target: 'closed' },
      },
    },
    open: {
      description: 'takes tasks',
      on: {
        task: { effects: ['admit'] },
        drain: { target: 'draining' },
        stop: { target: 'draining', effects: ['stopAll'] },
        rest: { target: 'closed', effects: ['rest'] },
        down: { target: 'closed', effects: ['abandonAll'] },
      },
    },
    draining: {
      description: 'refuses tasks; those in progress go on',
      entry: ['checkIdle'],
      on: {
        task: { effects: ['refuse'] },
        stop: { effects: ['stopAll'] },
        idle: { target: 'leaving' },
        down: { target: 'closed', effects: ['abandonAll'] },
      },
    },
    leaving: {
      description: 'no task runs; large answers that are on their way go out',
      entry: ['finish'],
      on: {
        task: { effects: ['refuse'] },
        stop: { effects: ['leave'] },
        down: { target: 'closed' },
      },
    },
    closed: { final: true, entry: ['forget'], description: 'the link is no more' },
  },
});

/** What sessions need of the worker that they belong to. */
export interface SessionPorts {
  readonly env: Env;
  readonly limits: Limits;
  readonly uid: string;
  /** What the worker says of itself to callers. */
  readonly about?: WorkerAbout | undefined;
  /** The caller is given up when it gave no sign of life for so many milliseconds; Infinity: never. */
  readonly callerLostAfterMs: number;
  /** Whether errors take their stacks along to the caller, and paths in their texts. */
  readonly exposeStacks: boolean;
  /** Where the calls of tasks go. */
  readonly dispatcher: Dispatcher;
  /** Shared by all sessions of the worker. */
  readonly admission: Admission;
  /** Finds a routine, importing its module if need be. */
  resolve(module: string, name: string): RegisteredRoutine | Promise<RegisteredRoutine>;
  /** Which modules are imported for values that callers send. Default: as for the process. */
  readonly modules?: ModulePolicy | undefined;
  /**
   * Whether the worker does not want a task, asked in its scope when the caller's context is in place.
   * Never throws or rejects. Undefined: it wants all.
   */
  readonly declines?: ((scope: Scope) => boolean | Promise<boolean>) | undefined;
  /**
   * Throws, or rejects, when the caller may not have a task run. Asked before anything of it is read or loaded.
   * Undefined: it may have all.
   */
  readonly permits?: ((task: TaskScope) => Promise<void> | undefined) | undefined;
  /** A place for one more task; false when all are taken. */
  takePlace(): boolean;
  freePlace(): void;
  closed(session: Session): void;
  /** Whether the link stays, though nothing is done on it. Default: it ends after `idleLinkTimeoutMs`. */
  readonly lasting?: boolean;
  /** The caller has exceeded a limit. Default: nobody counts. */
  breached?(error: unknown, remote: string): void;
}

interface DeclaredRoutine {
  readonly module: string;
  readonly name: string;
  /** `module#name`. */
  readonly key: string;
  found: RegisteredRoutine | undefined;
}

export class Session {
  readonly #ports: SessionPorts;
  readonly #actor: AnyActorRef;
  readonly #link: Link;
  readonly #failures: Failures;
  #watch: Watch | undefined;
  readonly #routines: DeclaredRoutine[] = [];
  /** Tasks that the caller waits for, by call number. */
  readonly #waited = new Map<number, Execution>();
  /** All tasks whose body has not ended, those that nobody waits for included. */
  readonly #executions = new Set<Execution>();
  /** Tasks that were started in this turn. */
  #unacknowledged: Execution[] = [];
  readonly #executionLogic;
  readonly #decoding: DecodeOptions | undefined;
  readonly #peer: PeerIdentity | undefined;
  /** By which its calls are counted. */
  #caller = '';
  #disguised = '';
  #over = false;
  #idleness: Idleness | undefined;

  constructor(parent: AnyActorRef, channel: Channel, ports: SessionPorts) {
    this.#ports = ports;
    this.#peer = channel.peer;
    const { maxDepth } = ports.limits;
    this.#decoding = maxDepth < MAX_DEPTH ? { maxDepth } : undefined;
    this.#executionLogic = toLogic(executionChart, this.#executionEffects());
    this.#actor = createLightActor(toLogic(sessionChart, this.#effects()), parent, undefined);
    this.#actor.start();
    const { env, limits, uid, callerLostAfterMs } = ports;
    this.#link = new Link(
      channel,
      { env, limits, uid, accepts: true, about: ports.about },
      {
        up: ({ uid: epoch }) => this.send({ type: 'up', epoch }),
        breached: (error) => ports.breached?.(error, channel.remote),
        frame: (frame) => this.#receive(frame),
        flushing: () => this.#acknowledge(),
        pong: () => this.#watch?.answered(),
        closed: (reason) => {
          this.#watch?.end();
          this.#idleness?.end();
          this.send({ type: 'down', reason });
        },
      },
    );
    const { inlineBytes } = limits;
    this.#failures = new Failures(this.#link, { inlineBytes, exposeStacks: ports.exposeStacks });
    if (callerLostAfterMs !== Number.POSITIVE_INFINITY) {
      const message = `it gave no sign of life for ${callerLostAfterMs} ms`;
      this.#watch = new Watch(this.#actor, {
        env,
        link: this.#link,
        lostAfterMs: callerLostAfterMs,
        lost: () => this.#link.giveUp(message),
      });
    }
  }

  /** Tasks whose body has not ended. */
  get inFlight(): number {
    return this.#executions.size;
  }

  /** Bytes of answers that wait to be sent. */
  get heldBytes(): number {
    return this.#link.backlog;
  }

  /** Hangs up, whatever still runs. */
  forsake(): void {
    this.#link.close(GoodbyeReason.DRAINING, 'the worker stops');
  }

  send(event: SessionEvent): void {
    // XState complains of events for an actor that has ended; the end of its link is one.
    if (!this.#over) this.#actor.send(event);
  }

  #effects() {
    return {
      meet: (_context: null, { epoch }: EventOf<SessionEvent, 'up'>) => {
        // Who knew it could greet in the caller's name, and ids of tasks are in logs.
        this.#disguised = this.#ports.env.disguise(epoch);
        this.#caller = callerKey(epoch, this.#peer);
        this.#ports.admission.open(this.#caller);
        if (this.#ports.lasting) return;
        const { env, limits } = this.#ports;
        this.#idleness = new Idleness({
          env,
          ms: limits.idleLinkTimeoutMs,
          isBusy: () => this.#executions.size > 0 || this.#link.backlog > 0,
          idle: () => this.send({ type: 'rest' }),
        });
      },
      rest: () => this.#link.close(GoodbyeReason.IDLE, 'nothing was in progress for long'),
      admit: (_context: null, { frame }: EventOf<SessionEvent, 'task'>) => this.#admit(frame),
      refuse: (_context: null, { frame }: EventOf<SessionEvent, 'task'>) => {
        this.#link.discard(frame);
        this.#nack(frame.call, NackReason.DRAINING, 'the worker is about to stop');
      },
      checkIdle: () => {
        if (this.#executions.size === 0) this.send({ type: 'idle' });
      },
      stopAll: (_context: null, { error }: EventOf<SessionEvent, 'stop'>) => {
        for (const execution of [...this.#executions]) {
          execution.actor?.send({ type: 'stop', error, leaving: true });
        }
      },
      abandonAll: (_context: null, { reason }: EventOf<SessionEvent, 'down'>) => {
        const error = aborted(`the connection to its caller ended (${reason.message})`);
        for (const execution of [...this.#executions]) {
          execution.actor?.send({ type: 'cancel', error });
        }
      },
      leave: () => this.#link.close(GoodbyeReason.DRAINING, 'the worker stops'),
      finish: () => this.#link.finish(GoodbyeReason.DRAINING, 'the worker stops'),
      forget: () => {
        this.#over = true;
        this.#idleness?.end();
        this.#ports.admission.close(this.#caller);
        this.#ports.closed(this);
      },
    };
  }

  #receive(frame: Frame): void {
    this.#idleness?.heard();
    if (frame.body === 'task') {
      // Here, where the link sees what is thrown: in an effect it would end this actor and no more.
      if (this.#routines[frame.task.routine - 1] === undefined) {
        throw new ProtocolError(`routine ${frame.task.routine} was not declared`);
      }
      return this.send({ type: 'task', frame });
    }
    if (frame.body === 'routine') return this.#declare(frame.routine);
    const execution = this.#waited.get(frame.call);
    if (execution === undefined) return this.#drop(frame);
    switch (frame.body) {
      case 'next':
        return this.#step(execution, 'next');
      case 'send':
        return this.#step(execution, 'next', frame.send.value);
      case 'return':
        return this.#step(execution, 'return', frame.return.value);
      case 'throw':
        return this.#step(execution, 'throw', frame.throw.error, decodeThrown);
      case 'cancel': {
        const timedOut = frame.cancel.reason === CancelReason.TIMEOUT;
        const error = aborted(timedOut ? 'its time ran out' : 'its caller gave up');
        this.#waited.delete(frame.call);
        execution.answered = true;
        return execution.actor?.send({ type: 'cancel', error });
      }
      default:
        throw new ProtocolError(`a ${frame.body} frame from a caller`);
    }
  }

  /** Frames for calls that are over may have been on their way; those for calls that never were are lies. */
  #drop(frame: Frame): void {
    this.#link.discard(frame);
    try {
      this.#link.stray();
    } catch (error) {
      // In an effect it would end this actor and no more.
      if (!(error instanceof LimitExceeded)) throw error;
      this.#link.cutOff(error);
    }
  }

  /** An outcome in the same envelope says that the task was taken; only the others need an Ack. */
  #acknowledge(): void {
    if (this.#unacknowledged.length === 0) return;
    for (const { call, answered } of this.#unacknowledged) {
      if (!answered) this.#link.send({ call, ack: {} });
    }
    this.#unacknowledged = [];
  }

  #declare({ number, module, name }: { number: number; module: string; name: string }): void {
    if (number !== this.#routines.length + 1) {
      throw new ProtocolError(`routine number ${number} is not the next one`);
    }
    const { maxRoutines, maxNameLength } = this.#ports.limits;
    if (number > maxRoutines) {
      throw exceeded('maxRoutines', number, maxRoutines, `${number} routines were named`);
    }
    const length = module.length + name.length;
    if (length > maxNameLength) {
      const what = `a routine with a name of ${length} characters`;
      throw exceeded('maxNameLength', length, maxNameLength, what);
    }
    this.#routines.push({ module, name, key: `${module}#${name}`, found: undefined });
  }

  #admit(frame: FrameOf<'task'>): void {
    const { call, task } = frame;
    if (this.#waited.has(call)) return this.#drop(frame);
    if (!this.#ports.admission.admit(this.#caller, call)) {
      this.#nack(call, NackReason.DUPLICATE, 'this call number was seen before');
      return this.#drop(frame);
    }
    if (this.#waited.size >= this.#ports.limits.maxCallsPerLink) return this.#refuseCall(frame);
    const declared = this.#routines[task.routine - 1] as DeclaredRoutine;
    // Answers that the caller does not read must not pile up.
    const { maxHeldBytes, maxCallsPerLink } = this.#ports.limits;
    const behind = this.#link.backlog > maxHeldBytes || this.#executions.size >= maxCallsPerLink;
    if (behind || !this.#ports.takePlace()) {
      this.#link.discard(frame);
      return this.#nack(call, NackReason.BUSY, 'the worker has as many tasks as it may');
    }
    const execution = this.#execution(call, task, declared);
    this.#link.took();
    this.#waited.set(call, execution);
    this.#executions.add(execution);
    const actor = createLightActor(this.#executionLogic, this.#actor, execution);
    execution.actor = actor;
    actor.start();
  }

  /** One too many for this caller, who knows how many it may have. */
  #refuseCall(frame: FrameOf<'task'>): void {
    this.#link.discard(frame);
    const { maxCallsPerLink: max } = this.#ports.limits;
    const error = exceeded('maxCallsPerLink', max + 1, max, `${max + 1} calls at a time on a link`);
    this.#note(error);
    const item = encodeError(error, { stack: false });
    this.#link.send({
      call: frame.call,
      nack: { reason: NackReason.FAILED, message: '', error: { item } },
    });
  }

  #note(error: unknown): void {
    if (error instanceof LimitExceeded) this.#ports.breached?.(error, this.#link.remote);
  }

  #execution(call: number, task: Task, declared: DeclaredRoutine): Execution {
    const scope = new TaskScope(
      this.#ports.env,
      this.#ports.uid,
      this.#disguised,
      declared.key,
      task,
    );
    return {
      call,
      task: scope,
      scope: {
        chain: undefined,
        home: this.#ports.dispatcher.home,
        task: scope,
        dispatcher: this.#ports.dispatcher,
        options: task.dispatch && fromDispatch(task.dispatch),
        importing: undefined,
      },
      inbound: undefined,
      context: undefined,
      unsent: false,
      maxValueBytes: this.#link.maxValueBytes,
      strict: this.#ports.dispatcher.strictContext,
      generator: task.generator,
      exposeStacks: this.#ports.exposeStacks,
      actor: undefined,
      routine: undefined,
      args: [],
      body: undefined,
      step: undefined,
      answered: false,
      load: (execution) => this.#load(execution, task, declared),
    };
  }

  /** Finds the routine and reads the arguments; throws or rejects when it can't. */
  #load(execution: Execution, task: Task, declared: DeclaredRoutine): Promise<void> | undefined {
    const payload = this.#link.received(task.args);
    const take = (routine: RegisteredRoutine) => {
      declared.found = routine;
      checkKind(routine, task.generator);
      execution.routine = routine;
      const receiving =
        payload?.context && this.#receiveContext(execution, payload.context, task.attempt);
      return receiving === undefined ? readArgs() : receiving.then(readArgs);
    };
    const readArgs = () => {
      const { modules } = this.#ports;
      const args = within(execution, () =>
        decode(payload, execution.inbound?.tokens, modules, this.#decoding),
      );
      if (args instanceof Promise) return args.then(takeArgs);
      takeArgs(args);
      return undefined;
    };
    const takeArgs = (args: unknown) => {
      if (!Array.isArray(args)) throw new SerializationError('the arguments are no array');
      execution.args = args;
    };
    const find = () => declared.found ?? this.#ports.resolve(declared.module, declared.name);
    const permitted = this.#ports.permits?.(execution.task);
    const found = permitted === undefined ? find() : permitted.then(find);
    return found instanceof Promise ? found.then(take) : take(found);
  }

  /** Brings the chain up to date that the body sees. */
  #receiveContext(
    execution: Execution,
    context: Uint8Array | undefined,
    attempt = 1,
  ): Promise<void> | undefined {
    const anything = context !== undefined || execution.inbound !== undefined || hasVariables();
    if (!anything) return undefined;
    const inbound = inboundOf(execution, attempt);
    const apply = () => {
      if (execution.scope.chain === inbound.chain) return;
      if (execution.body === undefined) execution.scope.chain = inbound.chain;
      // What the steps before have left running keeps theirs.
      else execution.scope = { ...execution.scope, chain: inbound.chain };
    };
    const load: Load = (read) =>
      loadingFor(execution.task, () => within(execution, read), this.#ports.modules);
    const guarded = this.#ports.modules?.files === false;
    const receiving = inbound.receive(context, load, guarded, this.#ports.limits);
    if (receiving !== undefined) return receiving.then(apply);
    apply();
    return undefined;
  }

  #step(
    execution: Execution,
    kind: ExecutionStep['kind'],
    sent?: Value,
    read: typeof decodeThrown = decode,
  ): void {
    const failed = (error: unknown) => {
      if (error instanceof ProtocolError || !(error instanceof SkeinError)) throw error;
      this.#note(error);
      execution.actor?.send({ type: 'stop', error });
    };
    let value: unknown;
    try {
      const received = this.#link.received(sent);
      const context = received?.context;
      // The first step comes with the task, and so does its context.
      const first = execution.body === undefined;
      if (first && context !== undefined) throw new ProtocolError('a context with the first step');
      const receiving = first ? undefined : this.#receiveContext(execution, context);
      const { modules } = this.#ports;
      const readIt = () =>
        within(execution, () => read(received, execution.inbound?.tokens, modules, this.#decoding));
      value = receiving === undefined ? readIt() : receiving.then(readIt);
    } catch (error) {
      failed(error);
      return;
    }
    if (execution.step !== undefined)
      throw new ProtocolError('a step before the end of the last one');
    const step = { kind, value };
    execution.step = step;
    if (!(value instanceof Promise)) execution.actor?.send({ type: 'step' });
    else
      value.then((loaded) => {
        step.value = loaded;
        execution.actor?.send({ type: 'step' });
      }, failed);
  }

  #executionEffects() {
    return executionEffects({
      declines: this.#ports.declines,
      accept: (execution) => {
        this.#unacknowledged.push(execution);
        this.#link.wake();
      },
      refuse: ({ call, task, inbound }, error) => {
        inbound?.giveBack();
        this.#note(error);
        this.#failures.deliver(this.#failures.encode(task, error), undefined, (value) => ({
          call,
          nack: { reason: NackReason.FAILED, message: '', error: value },
        }));
      },
      turnAway: ({ call, inbound }) => {
        inbound?.giveBack();
        this.#nack(call, NackReason.DRAINING, 'the worker is about to stop');
      },
      decline: ({ call, inbound }) => {
        inbound?.giveBack();
        this.#nack(call, NackReason.DECLINED, 'the worker does not want it now');
      },
      answer: (execution, value, done) => {
        const { call } = execution;
        if (!this.#waited.has(call)) return;
        const result = (sent: OutValue | undefined) => {
          execution.answered = true;
          return { call, result: { value: sent, done } };
        };
        const failed = (error: unknown) => this.#unanswerable(execution, done, error);
        this.#link.deliver(value, result, failed, execution.context);
        execution.unsent = false;
      },
      answerError: (execution, error) => {
        if (!this.#waited.delete(execution.call)) return;
        this.#failures.send(execution, this.#failures.encodeOf(execution, error));
      },
      release: (execution) => {
        this.#waited.delete(execution.call);
        this.#executions.delete(execution);
        execution.actor = undefined;
        this.#ports.freePlace();
        if (this.#executions.size === 0) this.send({ type: 'idle' });
      },
    });
  }

  /** What a task gave was lost on its way out: its caller hears that, as long as it waits. */
  #unanswerable(execution: Execution, done: boolean, error: unknown): void {
    // The execution of a result is over by now.
    if (!done && !this.#waited.delete(execution.call)) return;
    this.#failures.send(execution, this.#failures.encode(execution.task, error, execution.context));
    if (!done) execution.actor?.send({ type: 'cancel', error });
  }

  #nack(call: number, reason: NackReason, message: string): void {
    this.#link.send({ call, nack: { reason, message } });
  }
}

/**
 * Runs code that reads what came with a task. Classes may have code of their own for that, which is part of
 * the task; and the link may bring a frame while another task runs.
 */
function within<T>(execution: Execution, fn: () => T): T {
  return hasVariables() || currentScope() !== undefined ? runInScope(execution.scope, fn) : fn();
}
