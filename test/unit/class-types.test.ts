/** What TypeScript makes of classes that travel: checked by `npm run typecheck`. */
import { expect, expectTypeOf, test } from 'vitest';
import { registerClass, routine, serializable } from '../../src/index.ts';

test('a class may have a private or a protected constructor, or be abstract', () => {
  @serializable
  class Private {
    readonly n: number;
    private constructor(n: number) {
      this.n = n;
    }
    static of(n: number) {
      return new Private(n);
    }
  }
  @serializable({
    encode: (it: Protected) => it.n,
    decode: (n: number) => Protected.of(n),
  })
  class Protected {
    readonly n: number;
    protected constructor(n: number) {
      this.n = n;
    }
    static of(n: number) {
      return new Protected(n);
    }
  }
  class Registered {
    readonly n: number;
    private constructor(n: number) {
      this.n = n;
    }
    static of(n: number) {
      return new Registered(n);
    }
  }
  expect(Private.of(1).n).toBe(1);
  expect(registerClass(Registered, { encode: ({ n }) => n, decode: (n) => Registered.of(n) })).toBe(
    Registered,
  );
  abstract class Abstract {}
  registerClass(Abstract);
  class Generic<T> {
    it: T;
    constructor(it: T) {
      this.it = it;
    }
  }
  registerClass(Generic, { fields: ['it'] });
});

test('what encode gives is what decode gets, tuples too', () => {
  class Pair {
    readonly a: number;
    readonly b: string;
    constructor(a: number, b: string) {
      this.a = a;
      this.b = b;
    }
  }
  registerClass(Pair, {
    encode: (it) => [it.a, it.b],
    decode: (content) => {
      expectTypeOf(content).toEqualTypeOf<[number, string]>();
      return new Pair(...content);
    },
  });
  registerClass(Pair, {
    encode: (it) => [it.a, it.b],
    decode: ([a, b]: [number, string]) => new Pair(a, b),
  });
  registerClass(Pair, {
    encode: (it) => [it.a, it.b],
    decode: ([a, b]: readonly [number, string]) => new Pair(a, b),
  });
  registerClass(Pair, {
    encode: (it) => ({ a: it.a, b: it.b }),
    decode: (content) => {
      expectTypeOf(content).toEqualTypeOf<{ a: number; b: string }>();
      return new Pair(content.a, content.b);
    },
  });
  registerClass(Pair, {
    encode: (it) => it.a,
    decode: (content) => {
      expectTypeOf(content).toEqualTypeOf<number>();
      return new Pair(content, '');
    },
  });
  registerClass(Pair, {
    // @ts-expect-error decode takes a number
    encode: (it) => it.b,
    decode: (content: number) => new Pair(content, ''),
  });
  @serializable({
    encode: (it: Decorated) => [it.a, it.b],
    decode: ([a, b]: [number, string]) => new Decorated(a, b),
  })
  class Decorated {
    readonly a: number;
    readonly b: string;
    constructor(a: number, b: string) {
      this.a = a;
      this.b = b;
    }
  }
  class Labels extends Set<string> {}
  registerClass(Labels, {
    encode: (set) => [...set],
    decode: (list: string[]) => new Labels(list),
  });
  expect(Decorated).toBeDefined();
});

test('private members can be named', () => {
  class Account {
    private readonly balance: number;
    constructor(balance: number) {
      this.balance = balance;
    }
    private async more(n: number) {
      return this.balance + n;
    }
    async show() {
      return this.more(1);
    }
  }
  registerClass(Account, { fields: ['balance'] });
  routine.method(Account.prototype, 'more');
  expect(new Account(1)).toBeDefined();
});
