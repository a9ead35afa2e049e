/** What `@routine` and `routine.method` refuse, and where they take the module from. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { NoPoolError, RoutineIdentityError, routine, serializable } from '../../src/index.ts';
import { decorationSite } from '../../src/routine/identity.ts';
import { rejection, scratchFolder, thrown } from '../integration/helpers.ts';

// biome-ignore lint/suspicious/noExplicitAny: called as compilers do, and as they don't
const decorator = routine as any;

/** As a compiler calls a decorator. */
function context(about: object) {
  return {
    kind: 'method',
    name: 'add',
    static: false,
    addInitializer() {},
    metadata: {},
    ...about,
  };
}

describe('@routine is refused', () => {
  test.for([
    ['class', 'a class', 'put it on its methods'],
    ['getter', 'a getter', 'make it a method'],
    ['setter', 'a setter', 'make it a method'],
    ['field', 'a field', 'make it a method'],
    ['accessor', 'an accessor', 'make it a method'],
  ])('on %s', ([kind, noun, advice]) => {
    const error = thrown(() => decorator(undefined, context({ kind, name: 'value' })));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`@routine can't be on ${noun} ('value'): ${advice}`);
  });

  test('as compilers call it, too', () => {
    const on = () => {
      class Getter {
        // @ts-expect-error no method
        @routine get value() {
          return 1;
        }
      }
      return Getter;
    };
    expect(on).toThrow("can't be on a getter ('value')");
  });

  test('on a method with a symbol for its name', () => {
    const name = Symbol('secret');
    const error = thrown(() => decorator(() => {}, context({ name })));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain('a symbol for its name (Symbol(secret))');
  });

  test.for([
    ['a method', [{}, 'add', { value() {} }]],
    ['a field', [{}, 'add', undefined]],
    ['a static method', [class {}, 'add', { value() {} }]],
  ])('as an older kind of decorator, on %s', ([, args]) => {
    const use = [() => decorator(...(args as [])), () => decorator({ name: 'a' })(...(args as []))];
    for (const call of use) {
      const error = thrown(call);
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toContain('leave "experimentalDecorators" out of tsconfig.json');
      expect(String(error)).toContain('routine.method(');
    }
  });

  test('as an older kind of decorator, on a class', () => {
    class Whole {}
    const error = thrown(() => decorator(Whole));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain('not the class Whole: make its methods routines');
  });

  test('without metadata, except on static methods', () => {
    const without = context({ metadata: undefined });
    expect(thrown(() => decorator(() => {}, without))).toBeInstanceOf(TypeError);
    expect(() => decorator(() => {}, without)).toThrow(/metadata: TypeScript 5.2.*2023-05/);
    expect(decorator(() => {}, { ...without, static: true })).toBeTypeOf('function');
  });

  test.for([
    [{ nam: 'a' }, TypeError, "@routine(options) has no option 'nam'"],
    [{ idempotent: 1 }, TypeError, 'idempotent must be true or false'],
    [{ attempts: 2 }, TypeError, 'attempts is only for routines with idempotent: true'],
    [{ idempotent: true, attempts: 0 }, RangeError, 'attempts must be a whole number'],
  ] as const)('with %j', ([options, type, message]) => {
    const error = thrown(() => decorator(options));
    expect(error).toBeInstanceOf(type);
    expect(String(error)).toContain(message);
  });

  test('on a static method of a class without a name', () => {
    const initializers: (() => void)[] = [];
    const addInitializer = (fn: () => void) => initializers.push(fn);
    decorator(() => {}, context({ name: 'one', static: true, addInitializer }));
    const error = thrown(() => initializers[0]?.call((() => class {})()));
    expect(error).toBeInstanceOf(RoutineIdentityError);
    expect(String(error)).toMatch(/static method 'one' at .*methods\.test\.ts:\d+ has no name/);
    expect(String(error)).toContain("@routine({ name: '...' })");
  });

  test('on the second of two static methods of one name', () => {
    const one = () => {
      class Same {
        @routine static async make() {}
        value = 1;
      }
      return Same;
    };
    const other = () => {
      class Same {
        @routine static async make() {}
        value = 2;
      }
      return Same;
    };
    one();
    expect(other).toThrow("are called 'Same.make' (lines ");
  });
});

describe('routine.method is refused', () => {
  class Base {
    inherited() {}
  }
  class Plain extends Base {
    get value() {
      return 1;
    }
    add() {}
  }

  test.for([
    ['no method', Plain.prototype, 'sub'],
    ['a getter', Plain.prototype, 'value'],
    ['one that is inherited', Plain.prototype, 'inherited'],
    ['one of instances, on the class', Plain, 'add'],
    ['an instance', Object.assign(new Plain(), { own() {} }), 'own'],
  ])('for %s', ([, target, name]) => {
    const error = thrown(() => routine.method(target as Plain, name as 'add'));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`there is no method '${name}'`);
  });

  test('with a wrong option', () => {
    const add = (options: object) => routine.method(Plain.prototype, 'add', options);
    expect(() => add({ nam: 'a' })).toThrow("has no option 'nam'");
    expect(() => add({ attempts: 1 })).toThrow(TypeError);
    expect(Plain.prototype.add).not.toHaveProperty('local');
  });
});

test('a call without a pool says so first', async () => {
  class Unknown {
    @routine async method() {}
  }
  expect(await rejection(new Unknown().method())).toBeInstanceOf(NoPoolError);
});

test('private methods with a decorator are private, though compilers take them out of the class', () => {
  const make = () => {
    @serializable
    class Secret {
      @routine async #hidden() {}
      shown = () => this.#hidden();
    }
    return Secret;
  };
  expect(make).toThrow("the class 'Secret' has private #hidden");
});

describe('the place of a decorator is', () => {
  const folder = scratchFolder();
  const module = (path: string, text: string): string => {
    const file = join(folder, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
    return pathToFileURL(file).href;
  };
  const decorate = (): unknown => decorationSite(decorate, 'routine');

  test.for(['tslib', '@babel/runtime', '@babel/runtime-corejs3', '@swc/helpers'])(
    'not in the helpers of %s',
    async (name) => {
      const helper = module(
        `node_modules/${name}/helper.mjs`,
        'export const apply = (decorator) => inner(decorator); const inner = (fn) => fn();',
      );
      const user = module(
        `${name.replace('/', '-')}.mjs`,
        `import { apply } from '${helper}';\nexport const site = (decorator) => apply(decorator);`,
      );
      const { site } = await import(user);
      expect(site(decorate)).toMatchObject({ module: user, line: 2 });
    },
  );

  test('behind the helpers at the top of its file', async () => {
    const user = module(
      'own.mjs',
      'const apply = (decorator) => decorator();\nexport const site = (decorator) => apply(decorator);',
    );
    const { site } = await import(user);
    expect(site(decorate)).toMatchObject({ module: user, line: 2 });
  });

  test('the module that it is told, where there is no file', () => {
    const inEval = (module?: string) => {
      const told = (): unknown => decorationSite(told, 'serializable', module);
      return new Function('told', 'return [1].map(told)')(told);
    };
    expect(inEval('/somewhere/a.js')).toEqual([
      { module: 'file:///somewhere/a.js', line: 0, column: 0 },
    ]);
    expect(() => inEval()).toThrow('classes must be in a file');
  });
});
