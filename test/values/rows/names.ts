import { strictEqual } from 'node:assert/strict';
import { ContextVar, registerClass, routine, serializable, Token } from '../../../src/index.ts';
import type { Group } from '../row.ts';
import { compareBy, same } from '../same.ts';

export const double = routine((x: number) => 2 * x);

export const countTo = routine(function* (n: number) {
  for (let i = 1; i <= n; i += 1) yield i;
});

@serializable
export class Turtle {
  steps = 0;

  @routine
  async walk(n: number) {
    return this.steps + n;
  }

  @routine
  static async count() {
    return 1;
  }
}

@serializable
export class Circle {
  readonly radius: number;
  readonly inside: readonly unknown[];

  constructor(radius: number, inside: readonly unknown[] = []) {
    this.radius = radius;
    this.inside = inside;
  }

  get area(): number {
    return Math.PI * this.radius ** 2;
  }
}

@serializable
export class Ring extends Circle {
  readonly hole = 1;
}

export class Account {
  #balance: number;
  constructor(balance: number) {
    this.#balance = balance;
  }
  get balance(): number {
    return this.#balance;
  }
}
registerClass(Account, {
  encode: ({ balance }) => ({ balance }),
  decode: ({ balance }: { balance: number }) => new Account(balance),
});

export class Tags extends Set<string> {}
registerClass(Tags, {
  encode: (tags) => [...tags],
  decode: (tags: string[]) => new Tags(tags),
});

export class Session {
  readonly user: string;
  readonly cache = new WeakMap();
  constructor(user: string) {
    this.user = user;
  }
}
registerClass(Session, { fields: ['user'] });

export class Declined extends Error {
  override readonly name = 'Declined';
  readonly account: Account;
  constructor(account: Account, options?: ErrorOptions) {
    super(`not enough: ${account.balance}`, options);
    this.account = account;
  }
}
registerClass(Declined);

export const shade = new ContextVar<string>('shade', { default: 'none' });

const none = () => [];
compareBy(ContextVar, none);
compareBy(Token, ({ var: variable, used }) => [variable, used]);
compareBy(Turtle, none);
compareBy(Circle, (value) => [value.area]);
compareBy(Ring, (value) => [value.area]);
compareBy(Account, (value) => [value.balance]);
compareBy(Tags, (value) => [...value]);
compareBy(Session, none);

export const names: Group = {
  title: 'Routines, classes and variables',
  file: 'names.ts',
  rows: [
    {
      type: 'routines',
      arrives: 'the routine, found by its module and name',
      wire: 'tag 60171 over a name, see [below](#what-travels-by-name)',
      examples: {
        'of a function': () => double,
        'of a generator': () => countTo,
        'of a method': () => Turtle.prototype.walk,
        'of a static method': () => Turtle.count,
        'several, one of them twice': () => [double, countTo, { again: double }],
        'as the key of a Map': () => new Map([[double, 'double']]),
      },
    },
    {
      type: 'registered classes',
      arrives: 'the class, found by its module and name',
      wire: 'tag 60172 over a name',
      examples: {
        'a class': () => Circle,
        'two, one of them twice': () => [Circle, { Account, again: Circle }],
      },
    },
    {
      type: 'instances of registered classes',
      arrives: 'equal, as an instance of the same class',
      wire: 'tag 60173 over `[name, properties]`, see [below](#classes)',
      examples: {
        'of a class': () => new Circle(2, [new Map(), -0]),
        'of a class that extends one': () => new Ring(3),
        'of a class with methods that are routines': () => new Turtle(),
        'with itself inside': () => {
          const inside: unknown[] = [];
          inside.push(new Circle(1, inside));
          return inside[0];
        },
        'one of them twice': () => {
          const one = new Circle(1);
          return [one, { one }, new Circle(1)];
        },
      },
    },
    {
      type: 'instances with `encode` and `decode`',
      arrives: 'what `decode` makes of it, with private `#fields`',
      wire: 'tag 60175 over `[name, content]`',
      examples: {
        'with a private field': () => new Account(42),
        'of a class that extends a built-in one': () => new Tags(['b', 'a']),
        'one of them twice': () => {
          const one = new Account(1);
          return [one, { one }, new Account(1)];
        },
      },
    },
    {
      type: 'instances with `fields`',
      arrives: 'an instance with those that it names',
      wire: 'tag 60173',
      examples: { 'a part that could not travel': () => new Session('me') },
      check(arrived) {
        same(arrived, Object.assign(Object.create(Session.prototype), { user: 'me' }));
      },
    },
    {
      type: 'errors of registered classes',
      arrives: 'equal, as an instance of the same class',
      wire: 'tag 60169, see [below](#errors-on-the-wire)',
      examples: {
        'with an instance': () => new Declined(new Account(1), { cause: new TypeError('why') }),
      },
      check(arrived, sent) {
        same(arrived, sent);
        strictEqual((arrived as Declined).account.balance, 1);
      },
    },
    {
      type: 'context variables',
      arrives:
        "the variable, found by its namespace and name; what it holds is [the chain's](context.md)",
      wire: 'tag 60177 over `[namespace, name]`',
      examples: {
        'a variable': () => shade,
        'two, one of them twice': () => [shade, { again: shade }, new ContextVar('other shade')],
      },
    },
    {
      type: 'tokens of context variables',
      arrives:
        'the token, which [only its chain](context.md#tokens) can use; only inside of a call',
      wire: 'tag 60178 over its id, which the Context of the frame knows',
      examples: { 'a token': () => shade.set('dark') },
      check(arrived) {
        strictEqual((arrived as Token<string>).var, shade);
        strictEqual((arrived as Token<string>).used, false);
      },
    },
  ],
};
