/** Runs scripts on the runtime: what a script calls runs on workers. */
import {
  ContextVar,
  ContextVarUnset,
  currentChain,
  currentTask,
  fork,
  type Token as RuntimeToken,
  routine,
} from '../../src/index.ts';
import { interpret, interpretGenerator } from './interpreter.ts';
import {
  type Body,
  defaultOf,
  type GeneratorBody,
  type Strike,
  VARIABLES,
  type Variable,
} from './script.ts';
import { Surroundings } from './surroundings.ts';
import type {
  Held,
  How,
  Reply,
  ScriptFailure,
  StepPacket,
  StepResult,
  Steps,
  TaskPacket,
  Token,
  Value,
  World,
} from './world.ts';

export const variables = VARIABLES.map((variable) => {
  const value = defaultOf(variable);
  return new ContextVar<Value>(`v${variable}`, {
    namespace: 'oracle',
    ...(value && { default: value }),
  });
});

function variableOf(variable: Variable): ContextVar<Value> {
  return variables[variable] as ContextVar<Value>;
}

function runBody(body: Body, packet: TaskPacket): Promise<Reply> {
  return interpret(body, packet, new RuntimeWorld(packet.run));
}

const runOnce = routine(runBody, { name: 'run' });
const runAgain = routine(runBody, { name: 'runAgain', idempotent: true });

async function* runSteps(
  body: GeneratorBody,
  packet: TaskPacket,
): AsyncGenerator<Reply, Reply, StepPacket> {
  return yield* interpretGenerator(body, packet, new RuntimeWorld(packet.run));
}

const stepsOnce = routine(runSteps, { name: 'steps' });
const stepsAgain = routine(runSteps, { name: 'stepsAgain', idempotent: true });

let uids = 0;

class RemoteSteps implements Steps {
  isOver = false;
  readonly #steps: AsyncGenerator<Reply, Reply, StepPacket>;

  constructor(of: AsyncGenerator<Reply, Reply, StepPacket>) {
    this.#steps = of;
  }

  async take(
    step: (of: AsyncGenerator<Reply, Reply, StepPacket>) => Promise<StepResult>,
  ): Promise<StepResult> {
    try {
      const result = await step(this.#steps);
      if (result.done) this.isOver = true;
      return result;
    } catch (error) {
      this.isOver = true;
      throw error;
    }
  }
}

export class RuntimeWorld implements World {
  readonly #surroundings: Surroundings;

  /** @param run as `Surroundings` has it */
  constructor(run: string) {
    this.#surroundings = new Surroundings(run);
  }

  get(variable: Variable, fallback?: Value): Value | undefined {
    const known = variableOf(variable);
    try {
      return fallback ? known.get(fallback) : known.get();
    } catch (error) {
      if (error instanceof ContextVarUnset) return undefined;
      throw error;
    }
  }

  set(variable: Variable, value: Value): Token {
    return variableOf(variable).set(value);
  }

  reset(variable: Variable, token: unknown): void {
    variableOf(variable).reset(token as RuntimeToken<Value>);
  }

  describe(token: Token): { variable: Variable; old: Value | undefined } {
    const { var: variable, oldValue } = token as RuntimeToken<Value>;
    return { variable: variables.indexOf(variable), old: oldValue };
  }

  id(): string | undefined {
    return currentChain()?.id;
  }

  fork<T>(fn: (world: World) => Promise<T>): Promise<T> {
    return fork(() => fn(this));
  }

  call(body: Body, packet: TaskPacket, { idempotent, signal }: How): Promise<Reply> {
    const run = idempotent ? runAgain : runOnce;
    return (signal ? run.with({ signal }) : run)(body, packet);
  }

  generate(body: GeneratorBody, packet: TaskPacket, { idempotent }: How): Steps {
    return new RemoteSteps((idempotent ? stepsAgain : stepsOnce)(body, packet));
  }

  next(steps: Steps, packet: StepPacket): Promise<StepResult> {
    return (steps as RemoteSteps).take((of) => of.next(packet));
  }

  return(steps: Steps): Promise<StepResult> {
    return (steps as RemoteSteps).take((of) => of.return(undefined as unknown as Reply));
  }

  throw(steps: Steps, failure: ScriptFailure): Promise<StepResult> {
    return (steps as RemoteSteps).take((of) => of.throw(failure));
  }

  strike(strike: Strike, name: string): Promise<void> {
    return this.#surroundings.strike(strike, name);
  }

  uid(): string {
    uids += 1;
    return `${process.pid}-${uids}`;
  }

  accept({ uid }: Held): void {
    this.#surroundings.accept(uid);
  }

  pass(gate: string): Promise<readonly string[]> {
    return this.#surroundings.pass(gate, currentTask()?.signal);
  }

  open(gate: string, lines?: readonly string[]): void {
    this.#surroundings.open(gate, lines);
  }
}
