/** Context variables and tokens, as all copies of the package in this process have them. */
import { registerContextObjects } from '../wire/context.ts';
import { shared } from './shared.ts';
import * as here from './variable-class.ts';

export type { TokenState } from './variable-class.ts';

const first = shared('variables', () => here);

export const ContextVar = first.ContextVar;
export type ContextVar<T> = here.ContextVar<T>;
export const Token = first.Token;
export type Token<T> = here.Token<T>;

export const {
  createToken,
  findVariable,
  hasRight,
  hasTokens,
  hasVariables,
  identityOf,
  isToken,
  stateOf,
} = first;

registerContextObjects({ keyOf: first.keyOfVariable, findVariable, isToken });
