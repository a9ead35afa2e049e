/** The declarations of context variables. */
import { inspect } from 'node:util';
import { shared } from './shared.ts';

export interface ContextVarOptions<T> {
  /** What `get` gives where nothing was set. Default: `get` throws `ContextVarUnset` there. */
  readonly default?: T;
  /**
   * With the name, what a variable is known by in every process. Default: the name of the package that
   * declares it, from the nearest package.json.
   */
  readonly namespace?: string;
}

/** Where a variable is declared. */
export interface Declaration {
  readonly namespace: string;
  /** As `module:line`; undefined in code that is no file. */
  readonly place: string | undefined;
  /** Whether it is the same declaration, made once more. */
  repeats(earlier: Declaration): boolean;
}

/** That which is made an instance of, by the code whose place is asked for. */
type Callee = abstract new (...args: never) => unknown;

type Declare = (callee: Callee, namespace: string | undefined, name: string) => Declaration;

const locate = shared('locate', (): { how: Declare } => ({
  how: (_callee, namespace = '') => ({ namespace, place: undefined, repeats: () => false }),
}));

/** Says how the place of a declaration is found, which needs to read files. */
export function locateDeclarations(how: Declare): void {
  locate.how = how;
}

/** @throws whatever finding the place throws, where no namespace is given */
export function declaredBy(
  callee: Callee,
  namespace: string | undefined,
  name: string,
): Declaration {
  return locate.how(callee, namespace, name);
}

const UNFIT = /[\0\p{Surrogate}]/u;

/** @throws TypeError when the name, or an option, is not what it should be */
export function checkDeclaration(name: unknown, options: ContextVarOptions<unknown>): void {
  const wrong = (what: string, given: unknown) => {
    throw new TypeError(
      `new ContextVar(name, options): ${what} must be a text that is not empty, without the character NUL and without half of a pair of surrogates, not ${inspect(given, { depth: 0 })}`,
    );
  };
  if (!isName(name) || name === '') wrong('the name', name);
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `new ContextVar(name, options): options must be an object, not ${inspect(options, { depth: 0 })}`,
    );
  }
  const unknown = Object.keys(options).find((key) => key !== 'default' && key !== 'namespace');
  if (unknown !== undefined) {
    throw new TypeError(
      `new ContextVar(name, options): there is no option '${unknown}'; there are default and namespace`,
    );
  }
  const { namespace } = options;
  if (namespace !== undefined && (!isName(namespace) || namespace === ''))
    wrong('namespace', namespace);
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && !UNFIT.test(value);
}
