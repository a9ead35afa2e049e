/** Declarations of context variables, and what is left of them when nobody needs them any more. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import {
  ContextVar,
  ContextVarCollision,
  type ContextVarOptions,
  ContextVarUnset,
  fork,
  TokenChainError,
} from '../../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'skein-context-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Make = (...args: ConstructorParameters<typeof ContextVar<unknown>>) => ContextVar<unknown>;
type Maker = {
  readonly make: (Class: typeof ContextVar, ...args: Parameters<Make>) => ContextVar<unknown>;
};

/** Declares in a module of its own, in a folder with this package.json. */
async function declaredIn(path: string, name: string | undefined, query = ''): Promise<Make> {
  mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, path, 'package.json'), JSON.stringify({ name, type: 'module' }));
  const file = join(folder, path, 'declares.mjs');
  writeFileSync(file, 'export const make = (Class, ...args) => new Class(...args);\n');
  const { make } = (await import(`${pathToFileURL(file).href}${query}`)) as Maker;
  return (...args) => make(ContextVar, ...args);
}

const nowhere = Function('Class', '...args', 'return new Class(...args)').bind(
  undefined,
  ContextVar,
) as Make;

function thrown(fn: () => unknown): unknown {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('a variable is in the namespace', () => {
  test('that is the name of the package that declares it', async () => {
    expect(new ContextVar('of this package').namespace).toBe('skein');
    const inApp = await declaredIn('app', 'app');
    const inner = await declaredIn('app/dist', undefined);
    const inDependency = await declaredIn('app/node_modules/dep', 'dep');
    expect(inApp('x')).toMatchObject({ name: 'x', namespace: 'app' });
    expect(inner('x')).toBe(inApp('x'));
    expect(inDependency('x')).toMatchObject({ name: 'x', namespace: 'dep' });
    expect(inDependency('x')).not.toBe(inApp('x'));
  });

  test('that it is given', async () => {
    const inApp = await declaredIn('app', 'app');
    expect(inApp('given', { namespace: '@acme/base' })).toMatchObject({ namespace: '@acme/base' });
    expect(inApp('given', { namespace: undefined as never })).toMatchObject({ namespace: 'app' });
  });

  test('of the package that makes it, where it is of a class that another one derives', async () => {
    class Derived extends ContextVar<unknown> {}
    await declaredIn('app', 'app');
    const { make } = (await import(pathToFileURL(join(folder, 'app/declares.mjs')).href)) as Maker;
    expect(make(Derived as typeof ContextVar, 'derived').namespace).toBe('app');
  });

  test('and no other: where there is none, an error says to pass one', async () => {
    const nameless = await declaredIn('lib/node_modules/nameless', undefined);
    const error = thrown(() => nameless('x')) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain("new ContextVar('x', { namespace: '...' })");
    expect(error.message).toContain('nameless/declares.mjs');
    expect(nameless('x', { namespace: 'nameless' }).namespace).toBe('nameless');
  });
});

describe('in code that is no file a variable', () => {
  test('needs a namespace', () => {
    const error = thrown(() => nowhere('x')) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain('no file');
    expect(error.message).toContain("new ContextVar('x', { namespace: '...' })");
  });

  test('is the same as that of a file with the same namespace', () => {
    const variable = nowhere('in eval', { namespace: 'repl', default: 1 });
    expect(variable.namespace).toBe('repl');
    expect(nowhere('in eval', { namespace: 'repl', default: 1 })).toBe(variable);
    expect(new ContextVar('in eval', { namespace: 'repl', default: 1 })).toBe(variable);
    expect(() => nowhere('in eval', { namespace: 'repl', default: 2 })).toThrow(
      ContextVarCollision,
    );
  });

  test('may be in a data: URL', async () => {
    const source = 'export const make = (Class, ...args) => new Class(...args);';
    const { make } = (await import(`data:text/javascript,${source}`)) as Maker;
    expect(() => make(ContextVar, 'x')).toThrow('no file');
    expect(make(ContextVar, 'x', { namespace: 'data' }).namespace).toBe('data');
  });
});

describe('a second declaration', () => {
  const first = { default: { locale: 'en' } };

  test.each<[string, ContextVarOptions<unknown>, ContextVarOptions<unknown>]>([
    ['none', {}, {}],
    ['an undefined one', { default: undefined }, { default: undefined }],
    ['the same primitive', { default: 5 }, { default: 5 }],
    ['NaN', { default: Number.NaN }, { default: Number.NaN }],
    ['the same object', first, first],
    ['an equal object', first, structuredClone(first)],
  ])('with the same default, %s, gives the same variable', (what, one, other) => {
    const variable = new ContextVar(`same: ${what}`, one);
    expect(new ContextVar(`same: ${what}`, other)).toBe(variable);
    expect(new ContextVar(`same: ${what}`, { ...other, namespace: 'other' })).not.toBe(variable);
    expect(new ContextVar(`same: ${what}?`, other)).not.toBe(variable);
  });

  test.each<[string, ContextVarOptions<unknown>, ContextVarOptions<unknown>]>([
    ['another one', { default: 1 }, { default: 2 }],
    ['one where there was none', {}, { default: 1 }],
    ['none where there was one', { default: 1 }, {}],
    ['an undefined one where there was none', {}, { default: undefined }],
    ['one that is equal but for its sign', { default: 0 }, { default: -0 }],
    ['one of another type', { default: 1 }, { default: '1' }],
    ['another object', first, { default: { locale: 'de' } }],
  ])('with another default, %s, is refused', (what, one, other) => {
    const variable = new ContextVar(`collides: ${what}`, one);
    const error = thrown(() => new ContextVar(`collides: ${what}`, other)) as ContextVarCollision;
    expect(error).toBeInstanceOf(ContextVarCollision);
    expect(error).toMatchObject({
      code: 'CONTEXT_VAR_COLLISION',
      variable: `skein:collides: ${what}`,
    });
    expect(error.message).toContain(`skein:collides: ${what}`);
    expect(error.message.match(/context-var\.test\.ts:\d+/g)).toHaveLength(2);
    // The first one goes on as it was.
    if ('default' in one) expect(variable.get()).toBe(one.default);
    else expect(() => variable.get()).toThrow(ContextVarUnset);
    expect(new ContextVar(`collides: ${what}`, one)).toBe(variable);
  });

  test('with another default is refused with both of them', () => {
    new ContextVar('both', { default: 'x'.repeat(200) });
    expect(() => new ContextVar('both', { default: { locale: 'de' } })).toThrow(
      /test\.ts:\d+, with the default 'x{79}\.\.\., and now at .*test\.ts:\d+ with the default { locale: 'de' }: /,
    );
    expect(() => new ContextVar('both')).toThrow(/ with no default: give one/);
  });

  test('by the same module, evaluated anew, gives the same variable, with the new default', async () => {
    // Among dependencies it is Node itself that evaluates it.
    const before = await declaredIn('node_modules/anew', 'anew');
    const variable = before('x', { default: 1 });
    const after = await declaredIn('node_modules/anew', 'anew', '?again');
    expect(after('x', { default: 2 })).toBe(variable);
    expect(variable.get()).toBe(2);
  });

  test('keeps keys apart whose parts would read the same in one text', () => {
    const one = new ContextVar('b:c', { namespace: 'a' });
    expect(new ContextVar('c', { namespace: 'a:b' })).not.toBe(one);
  });
});

describe('wrong arguments are a TypeError that says what is wrong', () => {
  const make = ContextVar as unknown as new (...args: unknown[]) => unknown;
  test.each<[string, unknown[], string]>([
    ['no name', [], 'name'],
    ['an empty name', [''], 'name'],
    ['a name that is no text', [5], '5'],
    ['a symbol for a name', [Symbol('s')], 'Symbol(s)'],
    ['a name with a NUL', ['a\0b'], 'NUL'],
    ['half of a pair of surrogates', ['\uD800'], 'surrogates'],
    ['options that are no object', ['x', 5], 'options'],
    ['no options but null', ['x', null], 'options'],
    ['a default in place of options', ['x', 'en'], 'options'],
    ['an unknown option', ['x', { defualt: 1 }], "'defualt'"],
    ['an empty namespace', ['x', { namespace: '' }], 'namespace'],
    ['a namespace that is no text', ['x', { namespace: 5 }], 'namespace'],
    ['a namespace with a NUL', ['x', { namespace: 'a\0' }], 'namespace'],
  ])('%s', (_what, args, text) => {
    const error = thrown(() => new make(...args)) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain('new ContextVar(');
    expect(error.message).toContain(text);
  });

  test('no `new`', () => {
    expect(() => (ContextVar as unknown as () => unknown)()).toThrow(TypeError);
  });

  test('and nothing is declared by them', () => {
    expect(() => new ContextVar('after a wrong one', { namespace: '' })).toThrow(TypeError);
    expect(new ContextVar('after a wrong one', { default: 1 }).get()).toBe(1);
  });
});

test('name and namespace of a variable, and the variable of a token, are fixed', () => {
  const variable = new ContextVar('fixed') as { name: string; namespace: string } & ContextVar<1>;
  const token = variable.set(1) as { var: unknown };
  expect(() => {
    variable.name = 'other';
  }).toThrow(TypeError);
  expect(() => {
    variable.namespace = 'other';
  }).toThrow(TypeError);
  expect(() => {
    token.var = undefined;
  }).toThrow(TypeError);
  expect(String(variable)).toBe('skein:fixed');
});

test('methods without their variable are a TypeError that says so', () => {
  const { get, set, reset } = new ContextVar<unknown>('without');
  for (const [name, method] of Object.entries({ get, set, reset })) {
    expect(() => (method as () => unknown)()).toThrow(`call it as variable.${name}(...)`);
  }
});

describe('an error says what to do', () => {
  const variable = new ContextVar<string>('advised');

  test('with a token of another chain', () => {
    const token = fork(() => variable.set('inside'));
    const error = thrown(() => variable.reset(token)) as Error;
    expect(error).toBeInstanceOf(TokenChainError);
    expect(error.message).toMatch(/overlapped another call.*make the other one in fork\(\(\)/);
  });

  test('with a copy of a token', () => {
    const token = variable.set('here');
    expect(() => structuredClone([token])).toThrow(/^Symbol\(a token .* an argument or a result\)/);
    expect(() => structuredClone([token])).toThrow(DOMException);
    expect(() => JSON.stringify([token])).toThrow(TypeError);
  });
});

describe('util.inspect shows', () => {
  const variable = new ContextVar('tenant', { namespace: '@acme/base', default: 'none' });

  test('variable and namespace', () => {
    expect(inspect(variable)).toBe('ContextVar { @acme/base:tenant }');
    expect(`${variable}`).toBe('@acme/base:tenant');
  });

  test('variable and namespace of a token, and whether it was used', () => {
    const token = variable.set('acme');
    expect(inspect(token)).toBe('Token { var: @acme/base:tenant }');
    variable.reset(token);
    expect(inspect({ token })).toBe('{ token: Token { var: @acme/base:tenant, used } }');
  });
});

describe('when nobody refers to them any more', () => {
  const fixture = fileURLToPath(new URL('../fixtures/context-garbage.ts', import.meta.url));
  const argv = ['--expose-gc', '--import', import.meta.resolve('tsx'), fixture];
  const { stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  const left = new Map(Object.entries(JSON.parse(stdout || '{}') as Record<string, number>));

  test('all was looked at', () => {
    expect({ stderr, looked: left.size }).toEqual({ stderr: '', looked: 12 });
  });

  test.each([
    'tokens that were used at once',
    'tokens that were used in the reverse order',
    'tokens that were never used',
    'values that were replaced',
    'chains of forks that are over',
    'variables that were never set',
    'variables that were set and reset',
    'variables that were set in a fork that is over',
  ])('1,000 %s leave nothing behind', (what) => {
    expect(left.get(what)).toBe(0);
  });

  test('nothing else is left of a token that was used', () => {
    expect(left.get('bytes for each of many tokens')).toBe(0);
  });

  test('a variable can be declared otherwise', () => {
    expect(left.get('declarations of variables that are gone')).toBe(0);
  });

  test.each(['whose token somebody has', 'that have a value'])(
    'but variables %s are still found by their names',
    (which) => {
      expect(left.get(`declarations of variables ${which}`)).toBe(1);
    },
  );
});
