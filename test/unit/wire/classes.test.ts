import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import { ClassRegistrationError, registerClass, SerializationError } from '../../../src/index.ts';
import { decodeError, encodeError } from '../../../src/wire/error.ts';
import { decodeValue, encodeArgs } from '../../../src/wire/value.ts';
import { refusal, roundTrip, single } from './helpers.ts';

class Point {
  x: number;
  y: number;
  link: unknown;
  constructor(x: number, y: number) {
    if (x === undefined) throw new Error('the constructor ran');
    this.x = x;
    this.y = y;
  }
  get length() {
    return Math.hypot(this.x, this.y);
  }
}
registerClass(Point);

class Point3 extends Point {
  z = 0;
}

class Money {
  readonly #cents: number;
  constructor(cents: number) {
    this.#cents = cents;
  }
  get cents() {
    return this.#cents;
  }
}
registerClass(Money, {
  encode: (money) => money.cents,
  decode: (cents: number) => new Money(cents),
});

class Session {
  user = 'ann';
  socket = { write() {} };
  password = 'secret';
}
registerClass(Session, { fields: ['user'] });

describe('an instance of a registered class', () => {
  test('arrives with its prototype and properties, and its constructor does not run', () => {
    const arrived = roundTrip(new Point(3, 4));
    strictEqual(Object.getPrototypeOf(arrived), Point.prototype);
    deepStrictEqual(arrived, new Point(3, 4));
    strictEqual(arrived.length, 5);
  });

  test('arrives once where it occurs twice, and in a cycle', () => {
    const point = new Point(1, 2);
    point.link = point;
    const [one, other] = roundTrip([point, point]) as [Point, Point];
    strictEqual(one, other);
    strictEqual(one.link, one);
  });

  test('arrives by encode and decode where the class has them', () => {
    const [one, other] = roundTrip([new Money(100), new Map([['price', new Money(7)]])]) as [
      Money,
      Map<string, Money>,
    ];
    strictEqual(one.cents, 100);
    strictEqual(other.get('price')?.cents, 7);
  });

  test('arrives with the fields that are listed, and no others', () => {
    const arrived = roundTrip(new Session());
    deepStrictEqual(Object.entries(arrived), [['user', 'ann']]);
    ok(arrived instanceof Session);
  });

  test('arrives where its class extends Array, directly or by a mixin', () => {
    class Row extends Array<number> {}
    type Strings = new (...items: string[]) => string[];
    const listing = (Base: Strings) => class extends Base {};
    class Cells extends listing(Array as Strings) {}
    registerClass(Row, { encode: (row) => [...row], decode: (list: number[]) => new Row(...list) });
    registerClass(Cells, {
      encode: (cells) => cells.join(),
      decode: (text: string) => new Cells(...text.split(',')),
    });
    const sent = [new Row(1, 2), [3], new Cells('a', 'b')];
    deepStrictEqual(roundTrip(sent), sent);
  });

  test('says its class once for many instances', () => {
    const one = single(encodeArgs([new Point(1, 1)])).length;
    const many = single(encodeArgs(Array.from({ length: 101 }, () => new Point(1, 1)))).length;
    ok(many - one < 100 * 25, `${(many - one) / 100} bytes each`);
  });

  test('keeps a property that its class has a setter for', () => {
    class Watched {
      set secret(_value: unknown) {
        throw new Error('the setter ran');
      }
    }
    registerClass(Watched);
    const watched = new Watched();
    Object.defineProperty(watched, 'secret', { value: 1, enumerable: true });
    deepStrictEqual(Object.entries(roundTrip(watched)), [['secret', 1]]);
  });

  test('its class travels too', () => {
    strictEqual(roundTrip(Point), Point);
  });
});

describe('an instance that cannot travel', () => {
  test('of a class that is not registered, though what it extends is', () => {
    const error = refusal(() => encodeArgs([{ at: new Point3(1, 2) }]));
    strictEqual(error.path, 'args[0].at');
    expect(error.message).toContain('an instance of Point3');
    expect(error.message).toContain('registerClass(Class)');
  });

  test('names the property that is to blame', () => {
    const point = new Point(1, 2);
    point.link = { cb: () => {} };
    strictEqual(refusal(() => encodeArgs([point])).path, 'args[0].link.cb');
  });

  test('names the place in what encode gave', () => {
    class Handler {}
    registerClass(Handler, { encode: () => ({ on: () => {} }), decode: () => new Handler() });
    strictEqual(refusal(() => encodeArgs([new Handler()])).path, 'args[0].encode().on');
  });

  test('says why encode failed', () => {
    class Broken {}
    registerClass(Broken, {
      encode: () => {
        throw new RangeError('too far');
      },
      decode: () => new Broken(),
    });
    const error = refusal(() => encodeArgs([1, new Broken()]));
    strictEqual(error.path, 'args[1]');
    expect(error.message).toContain('encode failed (RangeError: too far)');
    ok(error.cause instanceof RangeError);
  });

  test('because encode gave a promise, which is not waited for', async () => {
    class Later {}
    const encode = async () => {
      throw new Error('no');
    };
    registerClass(Later, { encode, decode: () => new Later() });
    const { message } = refusal(() => encodeArgs([new Later()]));
    expect(message).toContain('encode gave a promise: it must be synchronous');
    await new Promise(setImmediate);
  });

  test('in a cycle through what its own encode gave', () => {
    class Node {
      next: Node | undefined;
    }
    registerClass(Node, { encode: ({ next }) => ({ next }), decode: () => new Node() });
    const node = new Node();
    node.next = node;
    const error = refusal(() => encodeArgs([node]));
    strictEqual(error.path, 'args[0].encode().next');
    expect(error.message).toContain('a cycle through an instance of Node');
  });

  test('with a symbol for a key', () => {
    const point = Object.assign(new Point(1, 2), { [Symbol('hidden')]: 1 });
    strictEqual(refusal(() => encodeArgs([point])).path, 'args[0][Symbol(hidden)]');
  });
});

describe('what promises take for a promise', () => {
  const withThen = (then: unknown) => Object.fromEntries([['then', then]]);

  test('is refused when it is sent', () => {
    const error = refusal(() => encodeArgs([{ deep: [withThen(Point)] }]));
    strictEqual(error.path, 'args[0].deep[0].then');
    expect(error.message).toContain('give it another name');
  });

  test('is refused when it is read', () => {
    const text = Buffer.from(single(encodeArgs([{ when: Point }]))).toString('latin1');
    const bytes = Buffer.from(text.replace('when', 'then'), 'latin1');
    expect(refusal(() => decodeValue(bytes)).message).toContain('poses as a promise');
  });

  test('is not a property of that name that is no function', () => {
    deepStrictEqual(roundTrip(withThen('and then')), withThen('and then'));
  });
});

describe('an instance that cannot be read', () => {
  test('because decode failed', () => {
    class Picky {}
    registerClass(Picky, {
      encode: () => 1,
      decode: () => {
        throw new RangeError('not that one');
      },
    });
    const bytes = single(encodeArgs([new Picky()]));
    const error = refusal(() => decodeValue(bytes));
    expect(error.message).toContain(
      "a value can't be read: the decode of class Picky failed (RangeError: not that one)",
    );
    ok(error.cause instanceof RangeError);
  });

  test('because decode gave something else', () => {
    class Other {}
    registerClass(Other, { encode: () => 1, decode: () => ({}) as Other });
    expect(refusal(() => roundTrip(new Other())).message).toContain('gave no instance');
  });

  test('because decode gave a promise, which is not waited for', async () => {
    class Slow {}
    const decode = async () => {
      throw new Error('no');
    };
    registerClass(Slow, { encode: () => 1, decode: decode as never });
    const { message } = refusal(() => roundTrip(new Slow()));
    expect(message).toContain('the decode of class Slow gave a promise: it must be synchronous');
    await new Promise(setImmediate);
  });

  test('because its class lists other fields', () => {
    const bytes = single(encodeArgs([new Session()]));
    const text = Buffer.from(bytes).toString('latin1').replace('user', 'role');
    const error = refusal(() => decodeValue(Buffer.from(text, 'latin1')));
    expect(error.message).toContain('has no field "role" here');
  });

  test('because its class is not known here', () => {
    class Gone {}
    registerClass(Gone, { name: 'Gone1' });
    const text = Buffer.from(single(encodeArgs([new Gone()]))).toString('latin1');
    const bytes = Buffer.from(text.replace('Gone1', 'Gone2'), 'latin1');
    const error = refusal(() => decodeValue(bytes));
    expect(error.message).toMatch(
      /class 'Gone2' of skein\/test\/unit\/wire\/classes\.test\.ts is not known here/,
    );
  });
});

describe('an error of a registered class', () => {
  class Denied extends Error {
    override name = 'Denied';
    readonly user: string;
    constructor(user: string) {
      super(`${user} must not`);
      this.user = user;
    }
    get polite() {
      return `Sorry, ${this.user}`;
    }
  }
  registerClass(Denied);

  class Coded extends TypeError {
    readonly #secret: string;
    constructor(message: string, secret: string) {
      super(message);
      this.#secret = secret;
    }
    reveal() {
      return this.#secret;
    }
  }
  registerClass(Coded, {
    encode: (error) => [error.message, error.reveal()] as [string, string],
    decode: ([message, secret]: [string, string]) => new Coded(message, secret),
  });

  const through = (error: unknown) => decodeError(encodeError(error));

  test('arrives as one, with stack, cause and properties', () => {
    const cause = new RangeError('inner');
    const sent = Object.assign(new Denied('bob'), { cause });
    const arrived = through(sent) as Denied;
    strictEqual(Object.getPrototypeOf(arrived), Denied.prototype);
    deepStrictEqual(arrived, sent);
    strictEqual(arrived.stack, sent.stack);
    strictEqual(arrived.polite, 'Sorry, bob');
  });

  test('arrives by encode and decode, with its stack and cause', () => {
    const sent = new Coded('no', 'xyzzy');
    sent.cause = new Error('why');
    const arrived = through(sent) as Coded;
    ok(arrived instanceof Coded);
    strictEqual(arrived.reveal(), 'xyzzy');
    strictEqual(arrived.message, 'no');
    strictEqual(arrived.stack, sent.stack);
    deepStrictEqual(arrived.cause, sent.cause);
  });

  /** An error with parts to lose, whose codec is as given. */
  function coded(encode: (error: Fragile) => unknown, decode?: (value: never) => unknown): Fragile {
    class Fragile extends RangeError {
      code = 'E1';
    }
    registerClass(Fragile, {
      name: `Fragile${fragile++}`,
      encode,
      decode: (decode as never) ?? ((message: string) => new Fragile(message)),
    });
    return new Fragile('x', { cause: 'why' });
  }
  type Fragile = RangeError & { code: string; retry?: unknown };
  let fragile = 0;
  const throwing = () => {
    throw new Error('no');
  };

  let warnings: MockInstance;
  beforeEach(() => {
    warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  });
  afterEach(() => warnings.mockRestore());

  test.each<[string, (error: Fragile) => unknown, RegExp]>([
    ['throws', throwing, /^Fragile: .*encode failed \(Error: no\)/],
    [
      'gives what cannot travel',
      ({ message, retry }) => ({ message, retry }),
      /^Fragile: encode\(\)\.retry: a function cannot travel/,
    ],
    ['gives the error itself', (error) => [error], /^Fragile: encode\(\)\[0\]: a cycle/],
    ['gives a promise', async () => 1, /^Fragile: .*encode gave a promise/],
  ])('arrives as the built-in below it where encode %s', (_what, encode, reason) => {
    const decode = vi.fn();
    const sent = Object.assign(coded(encode, decode), { retry: () => 1 });
    const arrived = through(sent) as Fragile;
    strictEqual(Object.getPrototypeOf(arrived), RangeError.prototype);
    deepStrictEqual([arrived.message, arrived.cause, arrived.code], ['x', 'why', 'E1']);
    strictEqual(arrived.stack, sent.stack);
    expect((arrived as unknown as Record<string, unknown>)['[not sent]']).toMatch(reason);
    expect(decode).not.toHaveBeenCalled();
    through(sent);
    expect(warnings.mock.calls).toEqual([
      [
        expect.stringContaining('errors of class Fragile arrive as those of another class'),
        { type: 'SkeinWarning', code: 'SKEIN_CLASS_ENCODE' },
      ],
    ]);
  });

  test('arrives though encode fails at every level of a long chain, without trying it again and again', () => {
    class Step extends Error {}
    const encode = vi.fn(({ message, cause }: Step) => [message, cause, () => 1]);
    registerClass(Step, { encode, decode: () => new Step() });
    let sent = new Step('0');
    for (let i = 1; i < 20; i += 1) sent = new Step(String(i), { cause: sent });
    let arrived = through(sent) as Error | undefined;
    for (let i = 19; i >= 0; i -= 1) {
      strictEqual(arrived?.message, String(i));
      arrived = arrived.cause as Error | undefined;
    }
    expect(encode).toHaveBeenCalledTimes(20);
  });

  test('arrives as the registered class below it where encode fails', () => {
    class Forbidden extends Denied {}
    registerClass(Forbidden, { encode: throwing, decode: throwing });
    const arrived = through(new Forbidden('eve')) as Denied;
    strictEqual(Object.getPrototypeOf(arrived), Denied.prototype);
    strictEqual(arrived.polite, 'Sorry, eve');
  });

  test.each<[string, () => unknown, RegExp]>([
    ['throws', throwing, /failed \(Error: no\)/],
    ['gives something else', () => new RangeError('other'), /gave no instance/],
    ['gives a promise', async () => 1, /gave a promise/],
  ])('arrives as the built-in below it where decode %s', (_what, decode, reason) => {
    const sent = coded(({ message, code }) => ({ message, code }), decode);
    const arrived = through(sent) as Fragile;
    strictEqual(Object.getPrototypeOf(arrived), RangeError.prototype);
    deepStrictEqual([arrived.message, arrived.cause], ['x', 'why']);
    strictEqual(arrived.stack, sent.stack);
    expect(Object.entries(arrived)).toEqual([
      [
        '[not read]',
        { reason: expect.stringMatching(reason), content: { message: 'x', code: 'E1' } },
      ],
    ]);
    through(sent);
    expect(warnings.mock.calls).toEqual([
      [expect.stringMatching(reason), { type: 'SkeinWarning', code: 'SKEIN_CLASS_DECODE' }],
    ]);
  });

  test('arrives without its class where content has a note for something not known', () => {
    class Tool {}
    registerClass(Tool, { name: 'Tool1' });
    const decode = vi.fn();
    const text = Buffer.from(encodeError(coded(() => [new Tool()], decode))).toString('latin1');
    const bytes = Buffer.from(text.replace('Tool1', 'Tool2'), 'latin1');
    const arrived = decodeError(bytes, true) as Record<string, unknown>;
    expect(arrived['[not read]']).toMatchObject({
      content: [expect.stringContaining("class 'Tool2'")],
    });
    expect(decode).not.toHaveBeenCalled();
  });

  test('in a value fails with it where encode or decode fails', () => {
    const error = refusal(() => encodeArgs([{ error: coded(() => [() => 1]) }]));
    strictEqual(error.path, 'args[0].error.encode()[0]');
    const { message, cause } = refusal(() => roundTrip(coded(() => 1, throwing)));
    expect(message).toContain('the decode of class Fragile failed (Error: no)');
    deepStrictEqual(cause, new Error('no'));
    expect(warnings).not.toHaveBeenCalled();
  });

  test('inside of another one arrives in a value, though encode or decode fails', () => {
    const outer = new Error('outer', { cause: coded(throwing) });
    const errors = [coded(() => 1, throwing)];
    const arrived = roundTrip(Object.assign(outer, { errors }));
    for (const inner of [arrived.cause, arrived.errors[0]]) {
      strictEqual(Object.getPrototypeOf(inner), RangeError.prototype);
    }
  });

  test('arrives as the nearest registered class where it is of one that extends it', () => {
    class Banned extends Denied {}
    const arrived = through(new Banned('eve')) as Denied;
    strictEqual(Object.getPrototypeOf(arrived), Denied.prototype);
    strictEqual(arrived.user, 'eve');
  });

  test('arrives as the built-in below it where its class is not known', () => {
    class Missing extends SyntaxError {
      override name = 'Missing';
      code = 'E_MISSING';
    }
    registerClass(Missing, { name: 'Missing1' });
    const sent = new Missing('lost');
    const text = Buffer.from(encodeError(sent)).toString('latin1');
    const bytes = Buffer.from(text.replace('Missing1', 'Missing2'), 'latin1');
    const arrived = decodeError(bytes, true) as Missing;
    strictEqual(Object.getPrototypeOf(arrived), SyntaxError.prototype);
    deepStrictEqual({ ...arrived, message: arrived.message }, { ...sent, message: 'lost' });
  });
});

describe('a class that is refused', () => {
  const refused = (register: () => void, text: string | RegExp) => {
    expect(register).toThrow(ClassRegistrationError);
    expect(register).toThrow(text);
  };

  test('has private names, its own or inherited ones, and no codec', () => {
    class Hidden {
      #x = 1;
      #method() {
        return this.#x;
      }
      get value() {
        return this.#method();
      }
    }
    class Below extends Hidden {}
    refused(() => registerClass(Hidden), "the class 'Hidden' has private #x, #method()");
    refused(
      () => registerClass(Below),
      'private #x, #method(), which only its constructor gives to an instance',
    );
  });

  test('not so with private names of the class itself, or a # in a text', () => {
    class Counted {
      static #count = 0;
      color = '#fff';
      count() {
        // #hidden
        return Counted.#count++;
      }
    }
    registerClass(Counted);
    deepStrictEqual(roundTrip(new Counted()), new Counted());
  });

  test('not so where the fields are listed', () => {
    class Cached {
      readonly key = 'a';
      #cache: unknown;
      get() {
        this.#cache ??= this.key;
        return this.#cache;
      }
    }
    registerClass(Cached, { fields: ['key'] });
    strictEqual(roundTrip(new Cached()).key, 'a');
  });

  test('extends a built-in one that is no error', () => {
    class Tags extends Set<string> {}
    class Rows extends Array<number> {}
    refused(() => registerClass(Tags), "the class 'Tags' extends Set");
    refused(() => registerClass(Rows), "the class 'Rows' extends Array");
  });

  test('not so where that is Object', () => {
    class Plain extends Object {}
    registerClass(Plain);
    ok(roundTrip(new Plain()) instanceof Plain);
  });

  test('not so with a codec', () => {
    class Labels extends Set<string> {}
    registerClass(Labels, {
      encode: (set) => [...set],
      decode: (list: string[]) => new Labels(list),
    });
    const arrived = roundTrip(new Labels(['a', 'b']));
    ok(arrived instanceof Labels);
    deepStrictEqual([...arrived], ['a', 'b']);
  });

  test.each([
    [
      'a getter',
      {
        get total() {
          return 1;
        },
      },
    ],
    ['a setter', { set total(_value: number) {} }],
    ['a method', { total() {} }],
  ])('lists %s in its fields', (_what, members) => {
    class Base {
      total: unknown;
    }
    Reflect.deleteProperty(Base.prototype, 'total');
    Object.defineProperties(Base.prototype, Object.getOwnPropertyDescriptors(members));
    class Cart extends Base {}
    refused(
      () => registerClass(Cart, { fields: ['total'] }),
      /^the class 'Cart' lists 'total' in fields, which is a (getter or setter|method) and no property/,
    );
  });

  test('not so where a field has a value on the prototype', () => {
    class Named extends Error {
      label = 'own';
    }
    Named.prototype.label = 'default';
    registerClass(Named, { fields: ['label', 'message'] });
    strictEqual(roundTrip(new Named()).label, 'own');
  });

  test.each(
    Object.entries({
      Error,
      TypeError,
      Map,
      Date,
      Object,
      URL,
      Headers,
      Buffer,
      EventEmitter,
      Readable,
      SerializationError,
    }),
  )('is %s, which is built in', (name, Class) => {
    refused(
      () => registerClass(Class as new () => object),
      `${name} is built in: it travels, or not, as it is`,
    );
    refused(
      () =>
        registerClass(Class as new () => object, {
          encode: () => 1,
          decode: () => ({}),
          name: 'Own',
        }),
      'is built in',
    );
  });

  test('not so where the program made it global, or gave it the name of a built-in one', () => {
    class Global1 {}
    Object.assign(globalThis, { Global1 });
    registerClass(Global1);
    class URL {}
    registerClass(URL);
    Reflect.deleteProperty(globalThis, 'Global1');
  });

  test('has no name', () => {
    refused(() => registerClass(class {}), 'has no name that others could find it by');
  });

  test('has the name of another one', () => {
    refused(() => {
      registerClass(class Twin {});
      registerClass(class Twin {});
    }, /two classes of skein\/test\/unit\/wire\/classes\.test\.ts are called 'Twin' \(lines \d+ and \d+\)/);
  });

  test('is registered by another name already', () => {
    refused(
      () => registerClass(Point, { name: 'Dot' }),
      "registered already, as 'Point' of skein/test/unit/wire/classes.test.ts",
    );
  });

  test('not so when a module is evaluated anew', () => {
    const make = () => registerClass(class Anew {});
    const before = make();
    const after = make();
    ok(roundTrip(new after()) instanceof after);
    ok(roundTrip(new before()) instanceof after);
  });
});

describe('registerClass', () => {
  test.each([
    ['no class', () => registerClass((() => {}) as never), 'takes a class'],
    ['a lone encode', () => registerClass(class A {}, { encode: () => 1 }), 'belong together'],
    [
      'fields and encode',
      () => registerClass(class A {}, { fields: [], encode: () => 1, decode: () => ({}) }),
      'exclude each other',
    ],
    [
      'fields that are no list',
      () => registerClass(class A {}, { fields: 'x' as never }),
      'a list',
    ],
    [
      'an unknown option',
      () => registerClass(class A {}, { field: [] } as never),
      "no option 'field'",
    ],
    ['an encode that is none', () => registerClass(class A {}, { encode: 1 as never }), 'encode'],
  ])('refuses %s', (_what, register, text) => {
    expect(register).toThrow(TypeError);
    expect(register).toThrow(text);
  });

  test('gives the class', () => {
    class Given {}
    strictEqual(registerClass(Given), Given);
    ok(SerializationError);
  });
});
