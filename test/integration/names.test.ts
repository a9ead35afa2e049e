import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Routine, RoutineIdentityError, RoutineNotFound, routine } from '../../src/index.ts';
import { moduleUrl, rejection, TYPESCRIPT, thrown } from './helpers.ts';
import standard, * as names from './routines/names.ts';
import { WorkerPool } from './runtime.ts';

let pool: WorkerPool;
beforeAll(async () => {
  pool = await WorkerPool.open({ size: 1 });
});
afterAll(() => pool.close());

function thrower(): never {
  throw new Error('no stack');
}

describe('a routine is called', () => {
  test.each<[string, string, Routine<() => Promise<string>>]>([
    ['like its function, before its variable', 'ofFunction', names.other],
    ['like its variable', 'variable', names.variable],
    ['like its variable, exported elsewhere', 'notExported', names.notExported],
    ['like a variable with a type', 'typed', names.typed],
    ['like a variable with a type on several lines', 'severalLines', names.severalLines],
    ['like a variable with a conditional type', 'conditional', names.conditional],
    ['like a variable on the line before', 'onTheNextLine', names.onTheNextLine],
    ['like its variable, with a type argument', 'generic', names.generic],
    ['like its variable, with a comment between', 'commented', names.commented],
    ['like its variable, made by skein.routine', 'inNamespace', names.inNamespace],
    ['like the variable that is assigned', 'assigned', names.assigned],
    ['like its property', 'property', names.object.property],
    ['like its property in quotes', 'with-dash', names.object['with-dash']],
    ['like its property, deeper', 'er', names.object.deep.er],
    ['like its static field', 'field', names.Holder.field],
    ['like its static field with a type', 'typedField', names.Holder.typedField],
    ['default where it is the default export', 'default', standard],
    ['what options.name says', 'inList', names.destructured],
  ])('%s', async (_title, name, one) => {
    expect(one.name).toBe(name);
    expect(await one()).toBe(name);
  });

  test('what options.name says, before its function', async () => {
    expect(names.explicit.name).toBe('ofOptions');
    expect(await names.explicit()).toBe('ofFunction');
  });

  test.each<[string, () => unknown]>([
    ['throws', () => thrower()],
    ['gives no text', () => [1]],
  ])('and found, where an Error.prepareStackTrace %s', (_what, own) => {
    const { prepareStackTrace } = Error;
    try {
      Error.prepareStackTrace = own;
      expect(routine(function found() {}).name).toBe('found');
    } finally {
      Error.prepareStackTrace = prepareStackTrace;
    }
  });

  test('like its generator function', async () => {
    expect(names.generator.name).toBe('ofGenerator');
    for await (const name of names.generator()) expect(name).toBe('ofGenerator');
  });
});

describe('without a name', () => {
  test('a routine is refused where it is made, by an error that says what to write', () => {
    const error = thrown(names.makeAnonymous) as RoutineIdentityError;
    expect(error).toBeInstanceOf(RoutineIdentityError);
    expect(error.code).toBe('ROUTINE_IDENTITY');
    expect(error.message).toMatch(/names\.ts:\d+ has no name/);
    expect(error.message).toContain('const add = routine(');
    expect(error.message).toContain('routine(fn, { name })');
  });

  test('a place that is no file is refused, unless options.module names one', () => {
    const make = (options: string) =>
      Function('routine', `return routine(async () => 1${options})`)(routine);
    const error = thrown(() => make('')) as RoutineIdentityError;
    expect(error).toBeInstanceOf(RoutineIdentityError);
    expect(error.message).toContain('routines must be in a file');
    expect(error.message).toContain('routine(fn, { module })');
    const url = moduleUrl('integration/routines/names.ts');
    expect(make(`, { name: 'inEval', module: '${url}' }`).name).toBe('inEval');
  });
});

const index = moduleUrl('../src/index.ts');

/** Runs code that uses an export, in places that are no file. */
function inNoFile(name: string, code: string): [string, string[], string?][] {
  const script = `import { ${name} } from '${index}'; ${code}`;
  const required = `import('${index}').then(({ ${name} }) => { ${code} })`;
  return [
    ['--eval of a module', ['--input-type=module', '--eval', script]],
    ['--eval of a script', ['--eval', required]],
    ['a data: URL', ['--eval', `import(\`data:text/javascript,${script}\`)`]],
    ['a REPL', ['--interactive'], `await ${required}\n`],
  ];
}

function outputOf(args: string[], input: string | undefined): string {
  const options = [...TYPESCRIPT, ...args];
  const { stdout, stderr } = spawnSync(process.execPath, options, {
    input,
    encoding: 'utf8',
  });
  return stdout + stderr;
}

describe('a routine that is made in no file is refused, and told to go into one', () => {
  test.each(inNoFile('routine', 'routine(async () => 1);'))('%s', (_what, args, input) => {
    expect(outputOf(args, input)).toMatch(/RoutineIdentityError.*: routines must be in a file/);
  });
});

describe('a context variable that is declared in no file must have a namespace', () => {
  const code =
    "console.log(new ContextVar('x', { namespace: 'repl' }).namespace, 'is fine'); new ContextVar('y');";
  test.each(inNoFile('ContextVar', code))('%s', (_what, args, input) => {
    const output = outputOf(args, input);
    expect(output).toContain('repl is fine');
    expect(output).toMatch(/TypeError: new ContextVar\('y'\).* no file: pass one/);
  });
});

describe('two routines of one name in a module', () => {
  test('are refused where the second is made; both places are named', () => {
    routine(async () => 1, { name: 'same' });
    const error = thrown(() => routine(async () => 2, { name: 'same' })) as Error;
    expect(error).toBeInstanceOf(RoutineIdentityError);
    expect(error.message).toMatch(/names\.test\.ts are called 'same' \(lines \d+ and \d+\)/);
    expect(error.message).toContain('routine(fn, { name');
  });

  test('make the module unloadable on a worker', async () => {
    const module = moduleUrl('fixtures/broken/twice.ts');
    // The first of them was made before the module failed: it does not run either.
    const one = routine(async () => 1, { name: 'same', module });
    for (let i = 0; i < 2; i += 1) {
      const error = (await rejection(one())) as Error;
      expect(error).toBeInstanceOf(RoutineNotFound);
      expect(error.cause).toBeInstanceOf(RoutineIdentityError);
    }
  });
});

describe('a routine that is made when its module has loaded', () => {
  test('is not found on the worker, and the error says which there are', async () => {
    const late = names.makeLate();
    const error = (await rejection(late())) as RoutineNotFound;
    expect(error).toBeInstanceOf(RoutineNotFound);
    expect(error.code).toBe('ROUTINE_NOT_FOUND');
    expect(error.message).toContain("no routine 'late'");
    expect(error.message).toContain('ofOptions');
    expect(error.message).toContain('when its module loads');
  });
});
