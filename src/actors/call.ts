/**
 * One call, from its start to the moment when its caller knows the outcome. Charted in
 * docs/statecharts.md.
 */
import type { AnyActorRef } from 'xstate';
import type { OutboundContext } from '../context/outbound.ts';
import { type LostPhase, WorkerLost } from '../errors.ts';
import type { CallRequest, Received, StepKind } from '../routine/dispatcher.ts';
import type { CancelReason } from '../wire/frame.ts';
import type { Encoded } from '../wire/value.ts';
import type { Deadline } from './deadlines.ts';
import { defineChart, type Effects, type EventOf } from './statechart.ts';

/** A step that the consumer of a generator asked for. */
export interface Step {
  readonly kind: StepKind;
  readonly value: Encoded | undefined;
}

/** What a call tells the one who waits for it. */
export interface Waiter {
  resolve(value: Received, done: boolean): void;
  reject(error: unknown): void;
}

/** The workers that do not want a call, until it has paused. */
export interface Declined {
  by: string[];
  /** The pauses that there were. */
  times: number;
  pause: Deadline | undefined;
}

/** What there is of a call beside its state. Kept small: a caller may have 100,000 of them. */
export interface Call {
  readonly sequence: number;
  readonly request: CallRequest;
  readonly waiter: Waiter;
  /** Given up when the task will surely not be sent again. */
  args: Encoded | undefined;
  /** Counts the workers that may have run the task, the one that it is offered to now included. */
  attempt: number;
  actor: AnyActorRef | undefined;
  /** The worker that it is offered to or runs on now, or empty. */
  place: string;
  /** Its number on the link to the worker; 0 before its Task was written. */
  number: number;
  /** The chain that goes along with the task, or with the present step. */
  context: OutboundContext | undefined;
  declined: Declined | undefined;
  /** How long it still waits while there is no worker. */
  hunger: Deadline | undefined;
  /** The step of a generator that has not been answered. */
  step: Step | undefined;
  deadline: Deadline | undefined;
  unlisten: (() => void) | undefined;
  /** Gives up what is still on its way to the worker in chunks. */
  abandon: (() => void) | undefined;
}

export type CallEvent =
  /** The balancer chose a worker. */
  | { type: 'assigned'; worker: string }
  /** The balancer has no worker to choose, and expects none. */
  | { type: 'unavailable'; error: unknown }
  /** The worker took the task and starts it. */
  | { type: 'ack' }
  /** The worker surely never starts the task: it refused, or the Task was never written. */
  | { type: 'refused' }
  /** A function's result, or what a step of a generator gave. */
  | { type: 'result'; value: Received; done: boolean }
  /** The worker says that it saw this call's number before. Then it acknowledged it, or lost the link. */
  | { type: 'duplicate' }
  /** The task threw, or can't be run anywhere. */
  | { type: 'failed'; error: unknown }
  /** The link was lost after the Task was written. */
  | { type: 'lost'; message: string; cause?: unknown }
  /** The consumer asks a generator for its next step. */
  | { type: 'step' }
  /** The caller gives up. */
  | { type: 'cancel'; error: unknown; reason: CancelReason };

export interface CallContext {
  readonly call: Call;
  /** The worker that was chosen last. */
  readonly worker: string;
  /** Workers that refused the task. */
  readonly refused: readonly string[];
}

const again = {
  target: 'routing',
  guard: 'repeatable',
  assign: 'afresh',
  effects: ['retry'],
} as const;
const failed = { target: 'failed', effects: ['reject'] } as const;
const cancelled = { target: 'cancelled', effects: ['withdraw', 'reject'] } as const;

export const callChart = defineChart<CallContext, CallEvent, Call>({
  id: 'call',
  initial: 'routing',
  context: (call) => ({ call, worker: '', refused: [] }),
  assigns: {
    worker: (_context, event) => ({ worker: (event as EventOf<CallEvent, 'assigned'>).worker }),
    refusal: ({ refused, worker }) =>
      refused.includes(worker) ? {} : { refused: [...refused, worker] },
    afresh: () => ({ refused: [] }),
  },
  guards: {
    repeatable: ({ call }) => call.args !== undefined && call.attempt < call.request.attempts,
    done: (_context, event) => (event as EventOf<CallEvent, 'result'>).done,
  },
  states: {
    routing: {
      description: 'waits for the balancer to choose a worker',
      entry: ['ask'],
      on: {
        assigned: { target: 'offered', assign: 'worker', effects: ['offer'] },
        unavailable: failed,
        cancel: cancelled,
      },
    },
    offered: {
      description: 'the Task is on its way to the worker',
      on: {
        ack: { target: 'running', effects: ['accepted'] },
        // An outcome that comes without an Ack says both.
        result: [
          { target: 'done', guard: 'done', effects: ['resolve'] },
          { target: 'running', effects: ['accepted', 'resolve'] },
        ],
        refused: { target: 'routing', assign: 'refusal' },
        failed,
        lost: [again, { target: 'failed', effects: ['rejectOffered'] }],
        duplicate: { target: 'failed', effects: ['rejectDuplicate'] },
        cancel: cancelled,
      },
    },
    running: {
      description: 'the worker runs the task',
      on: {
        result: [{ target: 'done', guard: 'done', effects: ['resolve'] }, { effects: ['resolve'] }],
        step: { effects: ['forward'] },
        failed,
        lost: [again, { target: 'failed', effects: ['rejectRunning'] }],
        cancel: cancelled,
      },
    },
    done: { final: true, entry: ['release'], description: 'the caller has the result' },
    failed: { final: true, entry: ['release'], description: 'the caller has an error' },
    cancelled: { final: true, entry: ['release'], description: 'the caller gave up' },
  },
});

/** What calls need of the proxy that made them. */
export interface CallPorts {
  /** Asks the balancer for a worker, those in `refused` left out. */
  ask(call: Call, refused: readonly string[]): void;
  /** Hands the task to the peer of a worker. */
  offer(call: Call, worker: string): void;
  /** Sends the generator's next step to the worker. */
  forward(call: Call): void;
  /** The worker was lost, and the call looks for another one. */
  leave(call: Call): void;
  /** The caller gave up: out of the balancer's queue, or off the worker. */
  withdraw(call: Call, reason: CancelReason): void;
  /** The call is over. */
  release(call: Call): void;
}

export function callEffects(ports: CallPorts): Effects<CallContext, CallEvent> {
  const lose = ({ call, worker }: CallContext, phase: LostPhase, why: string, cause?: unknown) => {
    const { routine, label = routine.key } = call.request;
    const what = `worker ${worker} was lost while it had a task of ${label}: ${why}`;
    // Some reasons end with a full stop, some do not.
    const message = `${what.replace(/\.?$/, '.')} ${whyNotAgain(call, phase)}`;
    call.waiter.reject(new WorkerLost(message, { phase, worker, cause }));
  };
  const lost = (phase: LostPhase) => (context: CallContext, event: CallEvent) => {
    const { message, cause } = event as EventOf<CallEvent, 'lost'>;
    lose(context, phase, message, cause);
  };
  return {
    ask: ({ call, refused }) => ports.ask(call, refused),
    offer: ({ call, worker }) => ports.offer(call, worker),
    accepted: ({ call }) => {
      if (call.attempt >= call.request.attempts) call.args = undefined;
    },
    retry: ({ call }) => {
      ports.leave(call);
      call.attempt += 1;
      call.context?.retry();
    },
    forward: ({ call }) => ports.forward(call),
    withdraw: ({ call }, event) =>
      ports.withdraw(call, (event as EventOf<CallEvent, 'cancel'>).reason),
    resolve: ({ call }, event) => {
      const { value, done } = event as EventOf<CallEvent, 'result'>;
      call.step = undefined;
      // The consumer of a generator would get its values twice.
      call.args = undefined;
      call.waiter.resolve(value, done);
    },
    reject: ({ call }, event) => call.waiter.reject((event as { error: unknown }).error),
    rejectOffered: lost('offered'),
    rejectRunning: lost('running'),
    rejectDuplicate: (context) =>
      lose(context, 'offered', 'it had seen the number of the call before'),
    release: ({ call }) => ports.release(call),
  };
}

function whyNotAgain({ args, attempt, request }: Call, phase: LostPhase): string {
  if (request.attempts > 1) {
    if (attempt === request.attempts) return `It was attempt ${attempt} of ${attempt}`;
    if (!args) return 'It had given values, so it was not sent to another worker';
  }
  const known = phase === 'running' ? 'It had begun' : 'It may have begun';
  return `${known}, so it was not sent to another worker`;
}
