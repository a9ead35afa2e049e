/** All rows, in the order of the page. */
import { calls } from './calls.ts';
import { chains } from './chains.ts';
import { failures } from './failures.ts';
import { generators } from './generators.ts';
import type { Group } from './row.ts';
import { tokens } from './tokens.ts';
import { variables } from './variables.ts';

export const groups: readonly Group[] = [variables, chains, calls, generators, tokens, failures];
