/** The names that functions need of the code around them, as the engine itself looks them up. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readFunction, UnreadableFunction } from '../../src/routine/function-source.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const name = fc.constantFrom(...NAMES);

/** Code in which all that is written is run, if nothing throws. */
const { body } = fc.letrec<{
  expression: string;
  parameters: string;
  statement: string;
  body: string;
}>((tie) => {
  const text = (parts: TemplateStringsArray, ...holes: fc.Arbitrary<string>[]) =>
    fc.tuple(...holes).map((values) => String.raw({ raw: parts }, ...values));
  const { expression, parameters, statement, body } = {
    expression: tie('expression'),
    parameters: tie('parameters'),
    statement: tie('statement'),
    body: tie('body'),
  };
  const called = fc
    .tuple(name, parameters, body)
    .map(([own, list, inner]) => `{ function ${own}(${list}) { ${inner} } ${own}(); }`);
  return {
    expression: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      name,
      fc.constant('1'),
      text`typeof ${name}`,
      text`[${expression}, ...[${expression}]]`,
      text`({ ${name}, ${name}: ${expression}, [${expression}]: 1 }).${name}`,
      text`\`\${${expression}}\``,
      text`(${name} = ${expression})`,
      text`((${parameters}) => [${expression}, ${expression}])()`,
      text`((${parameters}) => { ${body} })()`,
      text`(function (${parameters}) { ${body} })()`,
      text`(function ${name}(${parameters}) { ${body} })()`,
      text`[...(function* ${name}(${parameters}) { yield ${expression} })()]`,
      text`({ ${name}: 1, f(${parameters}) { ${body} } }).f()`,
      text`({ get f() { ${body} } }).f`,
      text`(class ${name} extends (${expression}, Object) { static { ${body} } })`,
      text`(class { static ${name} = ${expression}; [${expression}]() {} })`,
    ),
    parameters: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constant(''),
      name,
      text`${name}, ...${name}`,
      text`${name} = ${expression}, ${name} = ${expression}`,
      text`{ ${name}, x: ${name} = ${expression}, ...${name} } = {}`,
      text`[${name} = ${expression}] = [], ${name} = (() => ${expression})()`,
    ),
    statement: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      text`${expression};`,
      text`let ${name} = 1;`,
      text`var ${name} = ${expression};`,
      text`const { ${name}: ${name} = ${expression}, [${expression}]: ${name} } = {};`,
      text`{ ${body} }`,
      text`for (let ${name} of [${expression}]) { ${body} }`,
      text`for (let ${name} = 0, n = 0; n < 1; n++) { ${body} }`,
      text`for (${name} in { x: 1 }) { ${body} }`,
      text`try { throw {} } catch ({ ${name} = ${expression} }) { ${body} }`,
      text`try { ${body} } finally { ${body} }`,
      text`switch (1) { case 1: ${body} }`,
      text`${name}: for (;;) { ${body} break; }`,
      called,
      text`class ${name} { static { ${body} } static #p = ${expression}; }`,
    ),
    body: fc.array(statement, { maxLength: 3 }).map((list) => list.join('\n')),
  };
});

/** The names that are looked up around the function when it runs, and whether it ran to its end. */
function lookedUp(text: string): { names: Set<string>; complete: boolean } {
  const names = new Set<string>();
  const around = new Proxy<Record<string, unknown>>(
    {},
    {
      has: (_target, key) => {
        if (NAMES.includes(String(key))) names.add(String(key));
        return NAMES.includes(String(key));
      },
      get: (_target, key) => (key === Symbol.unscopables ? undefined : 1),
      set: () => true,
    },
  );
  const fn = new Function('around', `with (around) { return (${text}) }`)(around);
  try {
    fn();
    return { names, complete: true };
  } catch {
    // A variable before its declaration, or a constant that is assigned.
    return { names, complete: false };
  }
}

test('are found, and no others', () => {
  let complete = 0;
  fc.assert(
    fc.property(name, body, (own, inner) => {
      const text = `function ${own}() { 'use strict'; ${inner} }`;
      let found: Set<string>;
      try {
        found = new Set(readFunction(text).free.keys());
      } catch (error) {
        // A name is declared twice. The engine overlooks that in a few places.
        expect(error).toBeInstanceOf(UnreadableFunction);
        expect(String(error)).toMatch(/already (been )?declared|name clash/);
        return;
      }
      const run = lookedUp(text);
      if (run.complete) {
        complete += 1;
        expect(run.names).toEqual(new Set([...found].filter((one) => NAMES.includes(one))));
      } else {
        for (const one of run.names) expect(found).toContain(one);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(complete).toBeGreaterThan(300);
});
