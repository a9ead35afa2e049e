/** Context variables, declared by name and known by it in every process; and their tokens. */
import { inspect, isDeepStrictEqual } from 'node:util';
import {
  ChainContention,
  ContextVarCollision,
  ContextVarUnset,
  SerializationError,
  TokenChainError,
  TokenUsedError,
  TokenVariableError,
} from '../errors.ts';
import type { VariableKey } from '../wire/context.ts';
import { Binding } from './binding.ts';
import type { Chain, Right } from './chain.ts';
import {
  type ContextVarOptions,
  checkDeclaration,
  type Declaration,
  declaredBy,
} from './declaration.ts';
import { keyOf, labelOf, partsOf, type Variable } from './key.ts';
import { currentChain, enterChain } from './scope.ts';
import { warnStuck } from './strictness.ts';

/** What there is of a token beside what its owner sees. */
export interface TokenState {
  /** What the variable had before; undefined: nothing. */
  old: Binding | undefined;
  /** Its old value could not travel: it can't be put back. */
  incomplete: boolean;
  /** Why it can't be used any more: it was used, or may have been. */
  used: string | undefined;
  /** That of the chain which may use it here; undefined: none. */
  right: Right | undefined;
  /** Given when it first crosses to another process. */
  id: string | undefined;
}

// The structured clone algorithm has no way to say no but what it can't take; the error shows this text.
const NO_CLONE = Symbol(
  'a token of a context variable crosses inside of a call only, as an argument or a result',
);

let createToken: <T>(variable: ContextVar<T>, state: TokenState) => Token<T>;
let stateOf: (token: Token<unknown>) => TokenState;
let isToken: (value: unknown) => value is Token<unknown>;

/**
 * What `ContextVar.set` gives: with it, `reset` puts the value back that the variable had before. It can be
 * used once, in whichever process; by the chain that made it, or that got it from there.
 *
 * It crosses as an argument or a result of a call, or inside of one, and in nothing else.
 */
export class Token<T> {
  readonly #variable: ContextVar<T>;
  readonly #state: TokenState;

  private constructor(variable: ContextVar<T>, state: TokenState) {
    this.#variable = variable;
    this.#state = state;
    Object.defineProperty(this, 'inCallsOnly', { value: NO_CLONE, enumerable: true });
  }

  static {
    createToken = (variable, state) => {
      anyTokens = true;
      return new Token(variable, state);
    };
    stateOf = (token) => token.#state;
    isToken = (value): value is Token<unknown> =>
      typeof value === 'object' && value !== null && #state in value;
  }

  /** The variable that it was made by. */
  get var(): ContextVar<T> {
    return this.#variable;
  }

  /**
   * What the variable had before; undefined where it had nothing (see `wasSet`).
   *
   * @throws SerializationError when the value is another process's, and could not travel or can't be read here
   */
  get oldValue(): T | undefined {
    if (this.#state.incomplete) {
      throw new SerializationError(`the old value of ${describe(this)} could not travel here`);
    }
    return this.#state.old?.read() as T | undefined;
  }

  /** Whether the variable had a value before, other than its default. */
  get wasSet(): boolean {
    return this.#state.old !== undefined || this.#state.incomplete;
  }

  /** Whether it was used, as far as this process knows. */
  get used(): boolean {
    return this.#state.used !== undefined;
  }

  /** @throws TypeError always: in JSON it is no token any more */
  toJSON(): never {
    throw new TypeError(
      'a token of a context variable crosses inside of a call only: pass it as an argument or a result',
    );
  }

  [inspect.custom](): string {
    return `Token { var: ${String(this.var)}${this.used ? ', used' : ''} }`;
  }
}

let anyTokens = false;

/** Whether this process has ever had a token: if not, no value refers to one. */
export function hasTokens(): boolean {
  return anyTokens;
}

export { createToken, isToken, stateOf };

const variables = new Map<string, WeakRef<ContextVar<unknown>>>();
const collected = new FinalizationRegistry<string>((key) => {
  if (variables.get(key)?.deref() === undefined) variables.delete(key);
});
let anyDeclared = false;

/** Whether this process has declared a variable: if not, nobody here can set or read one. */
export function hasVariables(): boolean {
  return anyDeclared;
}

let findVariable: (namespace: string, name: string) => ContextVar<unknown>;
let identityOf: (variable: ContextVar<unknown>) => string;
let keyOfVariable: (value: object) => VariableKey | undefined;

export { findVariable, identityOf, keyOfVariable };

/** Marks the constructor's call for a variable that is known by its key only. */
const UNDECLARED = Symbol('undeclared');

/**
 * A value that follows the code that runs, across `await` and across the calls of routines: a tenant, a
 * trace, a locale. What a routine sets, the code that awaits it sees.
 *
 * A second declaration with the same namespace and name gives the same variable.
 *
 * @example
 * ```ts
 * export const tenant = new ContextVar<string>('tenant');
 *
 * const token = tenant.set('acme');
 * await bill(); // tenant.get() is 'acme' there
 * tenant.reset(token);
 * ```
 */
export class ContextVar<T> implements Variable {
  readonly name: string;
  readonly namespace: string;
  readonly #key: string;
  #declaration: Declaration | undefined;
  #hasDefault = false;
  #default: T | undefined;

  /**
   * @throws TypeError when the name, or an option, is not what it should be
   * @throws ContextVarCollision when the variable was declared before with another default
   */
  constructor(name: string, options: ContextVarOptions<T> = {}) {
    const undeclared = (options as unknown) === UNDECLARED;
    const stub = undeclared ? partsOf(name) : undefined;
    if (!undeclared) checkDeclaration(name, options);
    const declaration = undeclared ? undefined : declaredBy(new.target, options.namespace, name);
    this.namespace = declaration?.namespace ?? stub?.namespace ?? '';
    this.name = stub?.name ?? name;
    this.#key = keyOf(this);
    const known = variables.get(this.#key)?.deref() as ContextVar<T> | undefined;
    const variable = known ?? this;
    if (declaration !== undefined) {
      anyDeclared = true;
      variable.#declare(declaration, options);
    }
    // Other processes know it by these.
    for (const key of ['name', 'namespace']) {
      Object.defineProperty(this, key, { writable: false });
    }
    // biome-ignore lint/correctness/noConstructorReturn: a second declaration gives the same variable
    if (known !== undefined) return known;
    variables.set(this.#key, new WeakRef<ContextVar<unknown>>(this as ContextVar<unknown>));
    collected.register(this, this.#key);
  }

  static {
    keyOfVariable = (value) => (#key in value ? (value as ContextVar<unknown>) : undefined);
    findVariable = (namespace, name) => ContextVar.#find(namespace, name);
    identityOf = (variable) => variable.#key;
  }

  static #find(namespace: string, name: string): ContextVar<unknown> {
    const key = keyOf({ namespace, name });
    return variables.get(key)?.deref() ?? new ContextVar(key, UNDECLARED as never);
  }

  /**
   * The value: the one that was set; else `fallback`, else the default of the declaration.
   *
   * @throws ContextVarUnset when there is none of them
   */
  get(): T;
  get<F>(fallback: F): T | F;
  get(...fallback: readonly unknown[]): unknown {
    if (this === undefined) throw detached('get');
    const binding = currentChain()?.get(this.#key);
    if (binding !== undefined) {
      try {
        return binding.read();
      } catch (cause) {
        if (!binding.isReported) warnStuck(String(this), 'asked', cause);
      }
    }
    if (fallback.length > 0) return fallback[0];
    if (this.#hasDefault) return this.#default;
    const why = this.isDeclared
      ? 'no default: set it before, or read it with get(fallback)'
      : 'this process has not declared it: import the module that does, or read it with get(fallback)';
    throw new ContextVarUnset(`${String(this)} has no value here and ${why}`, {
      variable: String(this),
    });
  }

  /** Gives the variable a value in the chain of the code that runs, until `reset` takes it back. */
  set(value: T): Token<T> {
    if (this === undefined) throw detached('set');
    const chain = enterChain();
    const old = chain.get(this.#key);
    chain.set(this.#key, Binding.of(this as ContextVar<unknown>, value));
    return createToken<T>(this, {
      old,
      incomplete: false,
      used: undefined,
      right: chain.right,
      id: undefined,
    });
  }

  /**
   * Gives the variable the value again that it had before the `set` that made the token; none, if it had
   * none.
   *
   * @throws TypeError when it is no token
   * @throws TokenUsedError when it was used before, in whichever process
   * @throws TokenVariableError when another variable made it
   * @throws ChainContention when a call that is out has it
   * @throws TokenChainError when it belongs to another chain
   */
  reset(token: Token<T>): void {
    if (this === undefined) throw detached('reset');
    if (!isToken(token)) {
      throw new TypeError(
        `reset(token) takes what set() of ${String(this)} gave, not ${inspect(token, { depth: 0 })}`,
      );
    }
    const state = stateOf(token);
    if (state.used !== undefined) throw new TokenUsedError(`${describe(token)} ${state.used}`);
    if ((token.var as unknown) !== this) {
      throw new TokenVariableError(
        `${describe(token)} is not one of ${String(this)}: reset it with its own variable (token.var)`,
      );
    }
    const chain = currentChain();
    if (chain?.hasOut(token)) {
      throw new ChainContention(
        `${describe(token)} is out with a call, which may reset it: await the call first, or make the call in fork(() => ...)`,
      );
    }
    if (chain === undefined || !hasRight(chain, state)) {
      throw new TokenChainError(`${describe(token)} ${whyNot(state)}`);
    }
    state.used = 'was used before: a token resets its variable once';
    chain.set(this.#key, state.old);
  }

  /** Whether this process has declared it, and does not just know its key. */
  get isDeclared(): boolean {
    return this.#declaration !== undefined;
  }

  /** `namespace:name`. */
  toString(): string {
    return labelOf(this);
  }

  [inspect.custom](): string {
    return `ContextVar { ${String(this)} }`;
  }

  #declare(declaration: Declaration, options: ContextVarOptions<T>): void {
    const hasDefault = 'default' in options;
    const before = this.#declaration;
    if (before !== undefined && !declaration.repeats(before)) {
      const same =
        hasDefault === this.#hasDefault && isDeepStrictEqual(options.default, this.#default);
      if (same) return;
      const earlier = showDefault(this.#hasDefault, this.#default);
      const now = showDefault(hasDefault, options.default);
      throw new ContextVarCollision(
        `the context variable ${String(this)} was declared before${at(before)}, with ${earlier}, and now${at(declaration)} with ${now}: ` +
          'give one of the two another name, or a namespace',
        { variable: String(this) },
      );
    }
    this.#declaration = declaration;
    this.#hasDefault = hasDefault;
    this.#default = options.default;
  }
}

function at({ place }: Declaration): string {
  return place === undefined ? '' : ` at ${place}`;
}

/** Characters of a default that an error shows. */
const SHOWN = 80;

function showDefault(hasDefault: boolean, value: unknown): string {
  if (!hasDefault) return 'no default';
  const text = inspect(value, { depth: 1, breakLength: Infinity });
  return `the default ${text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text}`;
}

/** Whether the chain may use the token. */
export function hasRight({ right: { id, place } }: Chain, { right }: TokenState): boolean {
  return id !== undefined && right?.id === id && right.place === place;
}

/** Why a token can't be used that the chain has no right to. */
function whyNot({ incomplete, right }: TokenState): string {
  if (incomplete) {
    return 'has an old value that could not travel here: it can be reset where it was made only';
  }
  const where =
    right === undefined ? 'does not belong to any chain here' : 'belongs to another chain';
  return `${where}: it was made in a fork, or in a call or a step of a generator that overlapped another call of its chain, or comes from a task that has answered. Only the code that set it, and what that awaits, can reset it. Where calls overlap, make the other one in fork(() => ...)`;
}

function detached(method: string): TypeError {
  return new TypeError(
    `${method} of a context variable was called without the variable: call it as variable.${method}(...)`,
  );
}

function describe(token: Token<unknown>): string {
  return `the token of ${String(token.var)}`;
}
