/**
 * One running task on a worker: finds the routine, runs its body, and answers the caller. Charted in
 * docs/statecharts.md.
 */
import type { AnyActorRef } from 'xstate';
import { FrameTokens } from '../context/frame-tokens.ts';
import { InboundContext } from '../context/inbound.ts';
import { hasTokens, hasVariables } from '../context/variable.ts';
import {
  type ChainSerializationError,
  RoutineNotFound,
  SkeinError,
  TaskAborted,
} from '../errors.ts';
import { exposing } from '../routine/discretion.ts';
import type { RegisteredRoutine } from '../routine/registry.ts';
import { runInScope, type Scope, type TaskScope } from '../routine/task.ts';
import { withTokens } from '../wire/context.ts';
import { type Encoded, encodeValue, sizeOf } from '../wire/value.ts';
import { defineChart, type Effects, type EventOf } from './statechart.ts';

export interface ExecutionStep {
  readonly kind: 'next' | 'throw' | 'return';
  readonly value: unknown;
}

type Body = Generator<unknown, unknown, unknown> | AsyncGenerator<unknown, unknown, unknown>;

/** What there is of a task beside its state. */
export interface Execution {
  /** Its number on the link. */
  readonly call: number;
  readonly task: TaskScope;
  /** What its body sees: another one where the chain of the consumer changes. */
  scope: Scope;
  /** What crosses with the task of its chain; made when there is something to cross. */
  inbound: InboundContext | undefined;
  /** A Context that goes with the answer; with an error in its place, where the answer can't be sent. */
  context: Uint8Array | undefined;
  /** Whether there is one that was not sent. */
  unsent: boolean;
  /** Whether values of context variables that can't travel fail the task. */
  readonly strict: boolean;
  /** Bytes that an answer may take, with its Context. */
  readonly maxValueBytes: number;
  readonly generator: boolean;
  /** Whether errors in what it gives take their stacks along, and paths in their texts. */
  readonly exposeStacks: boolean;
  actor: AnyActorRef | undefined;
  routine: RegisteredRoutine | undefined;
  args: readonly unknown[];
  body: Body | undefined;
  /** The step that the caller asked for, until it is answered. */
  step: ExecutionStep | undefined;
  /** A result or an error was sent, or nobody waits for one. A large one that is on its way was not. */
  answered: boolean;
  /** Finds the routine and reads the arguments; throws or rejects when it can't. */
  load: ((execution: Execution) => Promise<void> | undefined) | undefined;
}

export type ExecutionEvent =
  /** The routine was found, and the arguments read. */
  | { type: 'loaded' }
  /** The task can't be run here or anywhere. */
  | { type: 'unloadable'; error: unknown }
  /** The worker's hook does not want the task here now. */
  | { type: 'declined' }
  /** The caller asks for the generator's next step. */
  | { type: 'step' }
  | { type: 'yielded'; value: Encoded | undefined }
  | { type: 'returned'; value: Encoded | undefined }
  | { type: 'threw'; error: unknown }
  /** The caller gave up, or is gone: nobody waits for an answer. */
  | { type: 'cancel'; error: unknown }
  /**
   * The worker ends the task; the caller is told. A worker that is about to end (`leaving`) spoils no
   * task that it has not begun.
   */
  | { type: 'stop'; error: unknown; leaving?: boolean };

interface ExecutionContext {
  readonly execution: Execution;
}

export const executionChart = defineChart<ExecutionContext, ExecutionEvent, Execution>({
  id: 'execution',
  initial: 'loading',
  context: (execution) => ({ execution }),
  guards: {
    generator: ({ execution }) => execution.generator,
    leaving: (_context, event) => (event as EventOf<ExecutionEvent, 'stop'>).leaving === true,
    generatorAsked: ({ execution }) => execution.generator && execution.step !== undefined,
  },
  states: {
    loading: {
      description:
        "finds the routine, importing its module the first time, and asks the worker's hook",
      entry: ['load'],
      on: {
        loaded: [
          {
            target: 'stepping',
            guard: 'generatorAsked',
            effects: ['accept', 'prepare', 'advance'],
          },
          { target: 'suspended', guard: 'generator', effects: ['accept', 'prepare'] },
          { target: 'running', effects: ['accept', 'run'] },
        ],
        unloadable: { target: 'refused', effects: ['refuse'] },
        declined: { target: 'refused', effects: ['decline'] },
        cancel: { target: 'aborted', effects: ['abort'] },
        stop: [
          { target: 'refused', guard: 'leaving', effects: ['turnAway'] },
          { target: 'refused', effects: ['refuse'] },
        ],
      },
    },
    running: {
      description: 'the function runs',
      on: {
        returned: { target: 'done', effects: ['answerDone'] },
        threw: { target: 'failed', effects: ['answerError'] },
        cancel: { target: 'aborting', effects: ['abort'] },
        stop: { target: 'aborting', effects: ['answerError', 'abort'] },
      },
    },
    suspended: {
      description: 'the generator waits for the consumer',
      on: {
        step: { target: 'stepping', effects: ['advance'] },
        cancel: { target: 'aborting', effects: ['abort', 'finish'] },
        stop: { target: 'aborting', effects: ['answerError', 'abort', 'finish'] },
      },
    },
    stepping: {
      description: 'the generator runs to its next yield',
      on: {
        yielded: { target: 'suspended', effects: ['answerStep'] },
        returned: { target: 'done', effects: ['answerDone'] },
        threw: { target: 'failed', effects: ['answerError'] },
        cancel: { target: 'aborting', effects: ['abort', 'finish'] },
        stop: { target: 'aborting', effects: ['answerError', 'abort', 'finish'] },
      },
    },
    aborting: {
      description: 'nobody waits any more; the body was told, and may still run',
      on: {
        returned: { target: 'aborted' },
        threw: { target: 'aborted' },
      },
    },
    done: { final: true, entry: ['release'], description: 'the result was sent' },
    failed: { final: true, entry: ['release'], description: 'the error was sent' },
    refused: { final: true, entry: ['release'], description: 'the body never started' },
    aborted: { final: true, entry: ['release'], description: 'the body has ended, unheard' },
  },
});

/** What executions need of the session that started them. */
export interface ExecutionPorts {
  /** Whether the worker does not want the task, in whose scope this is asked. Never throws or rejects. */
  readonly declines: ((scope: Scope) => boolean | Promise<boolean>) | undefined;
  accept(execution: Execution): void;
  /** The task fails before its body starts. */
  refuse(execution: Execution, error: unknown): void;
  /** The task may start elsewhere. */
  turnAway(execution: Execution): void;
  /** The task may start elsewhere now, and here later. */
  decline(execution: Execution): void;
  /** @throws SkeinError when the value can't be sent */
  answer(execution: Execution, value: Encoded | undefined, done: boolean): void;
  answerError(execution: Execution, error: unknown): void;
  release(execution: Execution): void;
}

export function executionEffects(ports: ExecutionPorts): Effects<ExecutionContext, ExecutionEvent> {
  const answer =
    (done: boolean) =>
    ({ execution }: ExecutionContext, event: ExecutionEvent) => {
      const { value } = event as EventOf<ExecutionEvent, 'returned' | 'yielded'>;
      execution.step = undefined;
      try {
        ports.answer(execution, value, done);
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error;
        ports.answerError(execution, error);
        if (!done) tell(execution, { type: 'cancel', error });
      }
    };
  return {
    load: ({ execution }) => load(execution, ports),
    accept: ({ execution }) => ports.accept(execution),
    refuse: ({ execution }, event: EventOf<ExecutionEvent, 'unloadable' | 'stop'>) =>
      ports.refuse(execution, event.error),
    turnAway: ({ execution }) => ports.turnAway(execution),
    decline: ({ execution }) => ports.decline(execution),
    run: ({ execution }) => run(execution),
    prepare: ({ execution }) => prepare(execution),
    advance: ({ execution }) => advance(execution),
    abort: ({ execution }, event: EventOf<ExecutionEvent, 'cancel' | 'stop'>) =>
      execution.task.abort(event.error),
    finish: ({ execution }) => {
      execution.step = { kind: 'return', value: undefined };
      advance(execution);
    },
    answerStep: answer(false),
    answerDone: answer(true),
    answerError: ({ execution }, event: EventOf<ExecutionEvent, 'threw' | 'stop'>) =>
      ports.answerError(execution, event.error),
    release: ({ execution }) => {
      execution.inbound?.leave();
      ports.release(execution);
    },
  };
}

function tell(execution: Execution, event: ExecutionEvent): void {
  execution.actor?.send(event);
}

function load(execution: Execution, ports: ExecutionPorts): void {
  const failed = (error: unknown) => tell(execution, { type: 'unloadable', error });
  try {
    const loading = execution.load?.(execution);
    execution.load = undefined;
    if (loading === undefined) ask(execution, ports);
    else loading.then(() => ask(execution, ports), failed);
  } catch (error) {
    failed(error);
  }
}

function ask(execution: Execution, { declines }: ExecutionPorts): void {
  // A task that was given up meanwhile is none of the hook's business.
  if (declines === undefined || execution.actor === undefined) {
    tell(execution, { type: 'loaded' });
    return;
  }
  const answered = (no: boolean) => tell(execution, { type: no ? 'declined' : 'loaded' });
  const answer = declines(execution.scope);
  if (answer instanceof Promise) void answer.then(answered);
  else answered(answer);
}

function run(execution: Execution): void {
  const { routine, args, scope } = execution;
  execution.args = [];
  const threw = (error: unknown) => tell(execution, { type: 'threw', error });
  const settleIt = (result: unknown) => {
    if (isThenable(result)) result.then((value) => settle(execution, 'returned', value), threw);
    else settle(execution, 'returned', result);
  };
  let result: unknown;
  try {
    result = runInScope(scope, () => invoke(routine, args));
  } catch (error) {
    threw(error);
    return;
  }
  // Where there are variables, what it gives is encoded in its scope, too: getters and classes may have code
  // of their own.
  if (hasVariables()) runInScope(scope, () => settleIt(result));
  else settleIt(result);
}

/** A plain call, so that `this` in the body is nothing of the runtime's. */
function invoke(routine: RegisteredRoutine | undefined, args: readonly unknown[]): unknown {
  const fn = routine?.fn;
  return fn?.(...args);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Encodes what the body gave; what can't travel is the task's error. */
function settle(execution: Execution, type: 'returned' | 'yielded', value: unknown): void {
  try {
    const encode = () => (value === undefined ? undefined : encodeValue(value, 'result'));
    tell(execution, { type, value: encodeAnswer(execution, encode) });
  } catch (error) {
    if (type === 'returned') tell(execution, { type: 'threw', error });
    else tell(execution, { type: 'stop', error });
  }
}

/**
 * Encodes an answer, and what goes with it of the chain.
 *
 * @param instead encodes what is the answer where context is strict, and values of variables can't travel
 * @throws whatever `encode` throws, and by default that failure
 */
export function encodeAnswer<T extends Encoded | undefined>(
  execution: Execution,
  encode: () => T,
  maxBytes = execution.maxValueBytes,
  instead: (failure: ChainSerializationError) => T = thrown,
): T {
  const { chain, home } = execution.scope;
  const { exposeStacks } = execution;
  execution.context = undefined;
  if (chain === undefined && !hasTokens()) return exposing(exposeStacks, encode);
  const tokens = new FrameTokens(home);
  const encoded = exposing(exposeStacks, () => withTokens(tokens, encode));
  if (chain === undefined && tokens.size === 0) return encoded;
  const taken = Math.max(sizeOf(encoded), Math.min(ERROR_BYTES, maxBytes / 2));
  const { context, failure } = exposing(exposeStacks, () =>
    inboundOf(execution).answer(tokens, maxBytes - taken),
  );
  execution.context = context;
  execution.unsent = context !== undefined;
  return failure === undefined ? encoded : withTokens(tokens, () => instead(failure));
}

/** What is kept for an error, which may take the place of an answer. */
const ERROR_BYTES = 8 * 1024;

function thrown(failure: ChainSerializationError): never {
  throw failure;
}

/** @param attempt which one of its task what comes in is part of */
export function inboundOf(execution: Execution, attempt = 1): InboundContext {
  const { scope, strict } = execution;
  execution.inbound ??= new InboundContext(scope.home, strict, attempt, scope.chain);
  return execution.inbound;
}

function prepare(execution: Execution): void {
  const { routine, args, scope } = execution;
  execution.args = [];
  try {
    execution.body = runInScope(scope, () => invoke(routine, args)) as Body;
  } catch (error) {
    // Default values of parameters are evaluated now, and may throw.
    tell(execution, { type: 'stop', error });
  }
}

function advance(execution: Execution): void {
  const { body, step, scope } = execution;
  if (body === undefined) {
    tell(execution, { type: 'returned', value: undefined });
    return;
  }
  const { kind, value } = step ?? { kind: 'next', value: undefined };
  runInScope(scope, () => {
    move(body, kind, value).then(
      (result) => settle(execution, result.done ? 'returned' : 'yielded', result.value),
      (error: unknown) => tell(execution, { type: 'threw', error }),
    );
  });
}

/** One step. What a sync generator gives is awaited, as an async one does by itself. */
async function move(
  body: Body,
  kind: ExecutionStep['kind'],
  value: unknown,
): Promise<IteratorResult<unknown, unknown>> {
  const result = await body[kind](value);
  if (!isThenable(result.value)) return result;
  return { value: await result.value, done: result.done ?? false };
}

/** Why a task was aborted, in the words of its signal's reason. */
export function aborted(why: string): TaskAborted {
  return new TaskAborted(`the task was aborted: ${why}`);
}

/** @throws RoutineNotFound when the caller and the worker mean different kinds of function */
export function checkKind(routine: RegisteredRoutine, generator: boolean): void {
  if (routine.generator === generator) return;
  const kind = (is: boolean) => (is ? 'a generator' : 'a function');
  throw new RoutineNotFound(
    `'${routine.name}' of ${routine.module} is ${kind(routine.generator)} on the worker and ${kind(generator)} at its caller: they run different versions of the module`,
  );
}
