import {
  type CurrentTask,
  currentTask,
  type Routine,
  registerClass,
  routine,
  serializable,
} from '../../../src/index.ts';

/** Who runs a body: to be compared with the caller's own. */
export const here = () => ({
  pid: process.pid,
  routine: currentTask()?.routine.replace(/^[^#]*#/, ''),
});

@serializable
export class Counter {
  count: number;

  constructor(count = 0) {
    this.count = count;
  }

  @routine
  async add(n: number) {
    this.count += n;
    return { count: this.count, is: this instanceof Counter, ...here() };
  }

  @routine
  plus(n: number): number | Promise<number> {
    return this.count + n;
  }

  @routine
  async *up(to: number): AsyncGenerator<number, string, number | undefined> {
    for (let i = this.count; i < to; i += 1) i += (yield i) ?? 0;
    return `from ${this.count}`;
  }

  @routine
  *down() {
    for (let i = this.count; i > 0; i -= 1) yield i;
    return here();
  }

  @routine
  self(): Counter | Promise<Counter> {
    return this;
  }

  /** Calls a routine of its own. */
  @routine
  async twice(n: number) {
    const { count, pid } = await this.add(n);
    return { count, pid, own: this.count };
  }

  @routine({ name: 'Counter-named', idempotent: true, attempts: 2 })
  async named() {
    return here();
  }

  /** Ends its worker, the first time. */
  @routine({ idempotent: true })
  async insists() {
    const { attempt } = currentTask() as CurrentTask;
    if (attempt === 1) process.exit(1);
    return [this.count, attempt];
  }

  /** Until the call is given up. */
  @routine
  async waits(_n: number) {
    const signal = currentTask()?.signal as AbortSignal;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }

  @routine
  async fails() {
    throw new RangeError(`at ${this.count}`);
  }

  @routine
  static async from(text: string) {
    return { made: new this(Number(text)), ...here() };
  }

  @routine
  static *between(first: number, last: number) {
    for (let i = first; i <= last; i += 1) yield new this(i);
  }
}

/** Overrides with a routine, and with none; and inherits. */
@serializable
export class Stepper extends Counter {
  step = 10;

  @routine
  override async add(n: number) {
    const inner = await super.add(n * this.step);
    return { ...inner, inner: inner.routine, outer: here().routine };
  }

  override plus(n: number) {
    return super.plus(n * this.step);
  }

  @routine
  override async *up(to: number): AsyncGenerator<number, string, number | undefined> {
    return yield* super.up(to * this.step);
  }

  @routine
  static override async from(text: string) {
    const { made, ...inner } = await super.from(text);
    return { made, ...inner, outer: here().routine } as never;
  }
}

/** Extends without a decorator: inherits all, and can't travel. */
export class Stray extends Counter {}

@serializable({ encode: (it: Hidden) => it.count, decode: (count: number) => new Hidden(count) })
export class Hidden {
  readonly count: number;

  constructor(count: number) {
    this.count = count;
  }

  @routine
  async #hidden(n: number) {
    return { count: this.count + n, ...here() };
  }

  async shown(n: number) {
    return await this.#hidden(n);
  }

  shownWith(n: number, timeout: number) {
    const hidden = this.#hidden as Routine<(n: number) => Promise<unknown>>;
    return hidden.with({ timeout }).call(this, n);
  }

  @routine
  static async #secret(n: number) {
    return { n, ...here() };
  }

  static open(n: number) {
    return Hidden.#secret(n);
  }
}

/** Whose base class can't travel by itself. */
export abstract class Shape {
  abstract sides(): number;

  @routine
  async corners() {
    return { corners: this.sides(), ...here() };
  }
}

@serializable
export class Square extends Shape {
  sides() {
    return 4;
  }

  @routine
  override async corners() {
    return { ...(await super.corners()), outer: here().routine };
  }
}

@serializable
export class Triangle extends Shape {
  sides() {
    return 3;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a mixin
function named<B extends abstract new (...args: any[]) => object>(Base: B, name: string) {
  abstract class Named extends Base {
    @routine
    async title() {
      return name;
    }
  }
  return Named;
}

class Root {}

@serializable
export class NamedA extends named(Root, 'a') {}

@serializable
export class NamedB extends named(Root, 'b') {}

/** Registered by a call, behind the class. */
class Late {
  n = 20;

  @routine
  async double() {
    return this.n * 2;
  }
}
registerClass(Late, { name: 'Lately' });

export { Late };

/** Not registered at all. */
export class Static {
  value = 1;

  @routine
  static async twice(n: number) {
    return { n: n * 2, same: this === Static, ...here() };
  }

  static readonly factor = 3;

  @routine
  static scaled(n: number): number | Promise<number> {
    return n * this.factor;
  }

  @routine
  async never() {}
}

const logs: string[] = [];
export const logged = () => [...logs];
export const loggedThere = routine(() => logs.splice(0), { name: 'loggedThere' });
export const clear = () => logs.splice(0);

type Method = (this: never, ...args: never[]) => unknown;

/** Another decorator, which notes where it runs. */
function log<F extends Method>(method: F, { name }: ClassMethodDecoratorContext): F {
  return function (this: never, ...args: never[]) {
    logs.push(String(name));
    return method.apply(this, args);
  } as F;
}

@serializable
export class Logged {
  n = 1;

  @log
  @routine
  async onCaller() {
    return { n: this.n, ...here() };
  }

  @routine
  @log
  async onWorker() {
    return { n: this.n, ...here() };
  }

  @log
  @routine
  static async onCallerToo() {
    return here();
  }

  @routine
  @log
  static async onWorkerToo() {
    return here();
  }
}

/** A decorator that puts another class in the place of the one it is on. */
// biome-ignore lint/suspicious/noExplicitAny: any class
function tagged<C extends abstract new (...args: any[]) => object>(Class: C): C {
  abstract class Tagged extends Class {
    readonly tag = 'tagged';
  }
  return Tagged;
}

@serializable
@tagged
export class TaggedInside {
  n = 1;

  @routine
  async whole() {
    return { ...this, ...here() };
  }

  @routine
  static async make() {
    return new this();
  }
}

@tagged
@serializable
export class TaggedOutside {
  n = 2;

  @routine
  async whole() {
    return { ...this, ...here() };
  }

  @routine
  static async make() {
    return new this();
  }
}

/** Routines that are given methods. */
export const callStatic = routine((fn: (n: number) => Promise<unknown>, n: number) => fn(n));
export const callMethod = routine((fn: Counter['add'], counter: Counter, n: number) =>
  fn.call(counter, n),
);
export const giveStatic = routine(() => Static.twice);
