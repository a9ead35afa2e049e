import { registerClass, routine, serializable } from '../../../src/index.ts';
import type { Stamp } from './stamp.ts';

@serializable
export class Circle {
  readonly radius: number;
  constructor(radius: number) {
    this.radius = radius;
  }
  area(): number {
    return Math.PI * this.radius ** 2;
  }
}

@serializable({
  encode: (account) => account.balance,
  decode: (balance: number) => new Account(balance),
})
export class Account {
  #balance: number;
  constructor(balance: number) {
    this.#balance = balance;
  }
  get balance(): number {
    return this.#balance;
  }
  deposit(amount: number): void {
    this.#balance += amount;
  }
}

/** Known here only; its class is not registered. */
export class Unknown extends Error {
  override name = 'Unknown';
  code = 'E_UNKNOWN';
}

export class Declined extends Error {
  override name = 'Declined';
  readonly account: Account;
  constructor(account: Account) {
    super(`not enough: ${account.balance}`);
    this.account = account;
  }
}
registerClass(Declined);

/** Its class can't encode it where it has a request, nor decode it where it has none. */
export class BadRequest extends RangeError {
  readonly status = 400;
  request: (() => void) | undefined;
}
registerClass(BadRequest, {
  encode: ({ message, request }) => ({ message, request }),
  decode: ({ message }) => {
    throw new Error(`no request: ${message}`);
  },
});

export const failBadly = routine((how: 'encode' | 'decode', given: boolean) => {
  const error = new BadRequest('bad', { cause: 'why' });
  if (how === 'encode') error.request = () => {};
  if (given) return error;
  throw error;
});

export const area = routine((circle: Circle) => [circle instanceof Circle, circle.area()]);

export const grow = routine((circle: Circle) => new Circle(2 * circle.radius));

export const deposit = routine((account: Account, amount: number) => {
  account.deposit(amount);
  return account;
});

export const withdraw = routine((account: Account) => {
  throw new Declined(account);
});

export const fail = routine(() => {
  throw new Unknown('what is it');
});

/** Whether both are one object, in a call of its own. */
export const same = routine((one: Circle, other: { circle: Circle }) => one === other.circle);

export const make = routine((Class: new (radius: number) => Circle) => new Class(3));

/** An instance of a class whose module its caller has not imported. */
export const stamp = routine(async (): Promise<Stamp> => {
  const { Stamp } = await import('./stamp.ts');
  return new Stamp('now');
});

export const throwStamped = routine(async () => {
  const { StampedError } = await import('./stamped-error.ts');
  throw new StampedError('late');
});

/** What the worker makes of something that it knows nothing of. */
export const describe = routine((value: object) => `${value.constructor.name} ${String(value)}`);

export const circles = routine(function* (): Generator<Circle, Circle, Circle> {
  let next = new Circle(0);
  for (let i = 0; i < 2; i++) next = yield new Circle(next.radius + 1);
  return next;
});

/** An instance of a class that the module does not make when it loads. */
export function makeLocal(): object {
  @serializable
  class Local {}
  return new Local();
}
