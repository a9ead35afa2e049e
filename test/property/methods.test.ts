/** Any chain of classes whose methods are routines in part gives what it would give without them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { currentTask, registerClass, routine } from '../../src/index.ts';
import { Simulation } from '../../src/testing/index.ts';

/** One class of a chain; each extends the one before. */
interface Level {
  /** What it makes of the methods. */
  readonly methods: 'none' | 'plain' | 'routine';
  readonly callsSuper: boolean;
  /** The last one always is. */
  readonly registered: boolean;
}

/** Who ran: the level, the `this` that it had, and whether it ran in a task. */
type Step = readonly [level: number, self: string, inTask: boolean];

interface Instance {
  readonly n: number;
  call(): Promise<Step[]>;
  each(): AsyncGenerator<Step, number>;
}

interface ChainClass {
  new (): Instance;
  readonly title: string;
  make(): Promise<Step[]>;
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the base class has
type Any = any;

const level: fc.Arbitrary<Level> = fc.record({
  methods: fc.constantFrom('none', 'plain', 'routine'),
  callsSuper: fc.boolean(),
  registered: fc.boolean(),
});

class Root {
  static readonly title: string = 'Root';
  n = 0;
}

const of = (self: Any) => `${self.constructor.title} ${self.n}`;
const inTask = () => currentTask() !== undefined;

function plainLevel(Base: Any, i: number, callsSuper: boolean) {
  return class extends Base {
    async call(): Promise<Step[]> {
      const mine: Step = [i, of(this), inTask()];
      return callsSuper && super.call ? [mine, ...(await super.call())] : [mine];
    }

    async *each(): AsyncGenerator<Step, number> {
      yield [i, of(this), inTask()];
      if (callsSuper && super.each) yield* super.each();
      return this.n;
    }

    static async make(): Promise<Step[]> {
      const mine: Step = [i, this.title as string, inTask()];
      return callsSuper && super.make ? [mine, ...(await super.make())] : [mine];
    }
  };
}

let made = 0;

function routineLevel(Base: Any, i: number, callsSuper: boolean) {
  made += 1;
  return class extends Base {
    @routine
    async call(): Promise<Step[]> {
      const mine: Step = [i, of(this), inTask()];
      return callsSuper && super.call ? [mine, ...(await super.call())] : [mine];
    }

    @routine
    async *each(): AsyncGenerator<Step, number> {
      yield [i, of(this), inTask()];
      if (callsSuper && super.each) yield* super.each();
      return this.n;
    }

    @routine({ name: `make ${made}` })
    static async make(): Promise<Step[]> {
      const mine: Step = [i, this.title as string, inTask()];
      return callsSuper && super.make ? [mine, ...(await super.make())] : [mine];
    }
  };
}

/** The last class of the chain. */
function build(levels: readonly Level[]): ChainClass {
  let Class: Any = Root;
  levels.forEach(({ methods, callsSuper, registered }, i) => {
    if (methods === 'none') Class = class extends Class {};
    else Class = (methods === 'plain' ? plainLevel : routineLevel)(Class, i, callsSuper);
    made += 1;
    Object.defineProperty(Class, 'title', { value: `Level${i}` });
    const last = i === levels.length - 1;
    if (registered || last) registerClass(Class, { name: `${Class.title} ${made}` });
  });
  return Class;
}

/** What JavaScript does without routines; a routine and all that it calls runs in a task. */
function expected(levels: readonly Level[], self: string): Step[] {
  const steps: Step[] = [];
  let remote = false;
  for (let i = levels.length - 1; i >= 0; i -= 1) {
    const { methods, callsSuper } = levels[i] as Level;
    if (methods === 'none') continue;
    remote ||= methods === 'routine';
    steps.push([i, self, remote]);
    if (!callsSuper) break;
  }
  return steps;
}

test('overrides, inherited methods and super are as without routines', async () => {
  const chains = fc.array(level, { minLength: 1, maxLength: 5 });
  const property = fc.asyncProperty(chains, fc.nat(9), async (levels, n) => {
    const Class = build(levels);
    const { title } = Class;
    const some = levels.some(({ methods }) => methods !== 'none');
    await Simulation.run({ seed: n, cluster: { workers: 2 } }, async () => {
      const one = Object.assign(new Class(), { n });
      if (!some) return;
      expect(await one.call()).toEqual(expected(levels, `${title} ${n}`));
      const each = one.each();
      const steps: Step[] = [];
      let step = await each.next();
      for (; !step.done; step = await each.next()) steps.push(step.value);
      expect([steps, step.value]).toEqual([expected(levels, `${title} ${n}`), n]);
      expect(await Class.make()).toEqual(expected(levels, title));
    });
  });
  await fc.assert(property, { numRuns: 100 });
});
