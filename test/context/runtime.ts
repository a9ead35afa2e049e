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
import { type Body, defaultOf, type GeneratorBody, VARIABLES, type Variable } from './script.ts';
import { Surroundings } from './surroundings.ts';
import type {
  Held,
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

const variables = VARIABLES.map((variable) => {
  const value = defaultOf(variable);
  return new ContextVar<Value>(`v${variable}`, {
    namespace: 'oracle',
    ...(value && { default: value }),
  });
});

function variableOf(variable: Variable): ContextVar<Value> {
  return variables[variable] as ContextVar<Value>;
}

const run = routine(
  (body: Body, packet: TaskPacket) => interpret(body, packet, new RuntimeWorld(packet.run)),
  { name: 'run' },
);

const steps = routine(
  async function* (
    body: GeneratorBody,
    packet: TaskPacket,
  ): AsyncGenerator<Reply, Reply, StepPacket> {
    return yield* interpretGenerator(body, packet, new RuntimeWorld(packet.run));
  },
  { name: 'steps' },
);

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

  call(body: Body, packet: TaskPacket, signal?: AbortSignal): Promise<Reply> {
    return (signal ? run.with({ signal }) : run)(body, packet);
  }

  generate(body: GeneratorBody, packet: TaskPacket): Steps {
    return new RemoteSteps(steps(body, packet));
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

  uid(): string {
    uids += 1;
    return `${process.pid}-${uids}`;
  }

  accept({ uid }: Held): void {
    this.#surroundings.accept(uid);
  }

  pass(gate: string): Promise<void> {
    return this.#surroundings.pass(gate, currentTask()?.signal);
  }

  open(gate: string): void {
    this.#surroundings.open(gate);
  }
}
