/** The state of a chain as it goes out, and as it comes in. */
import {
  encodeContext,
  encodeVariable,
  type ReceivedContext,
  type ReceivedToken,
  type ReceivedVariable,
  TokenState,
} from '../wire/context.ts';
import { Binding } from './binding.ts';
import { type Chain, type Snapshot, Values } from './chain.ts';
import { FrameTokens } from './frame-tokens.ts';
import type { ContextHome } from './home.ts';
import { partsOf } from './key.ts';
import type { Failures } from './strictness.ts';
import { createToken, findVariable, identityOf, stateOf, type Token } from './variable.ts';

/** Changes of values, by the keys of variables; undefined: none any more. */
export type Changes = ReadonlyMap<string, Binding | undefined>;

export const NO_CHANGES: Changes = new Map();

/** What has changed from one state to another. */
export function changesBetween(before: Snapshot, after: Snapshot): Changes {
  if (before === after) return NO_CHANGES;
  const changes = new Map<string, Binding | undefined>();
  for (const [key, binding] of after) if (before.get(key) !== binding) changes.set(key, binding);
  for (const key of before.keys()) if (!after.has(key)) changes.set(key, undefined);
  return changes;
}

export interface Manifest {
  readonly chain: string | undefined;
  readonly whole: boolean;
  readonly changes: Changes;
  /** Those that values outside of the chain refer to; those inside are added. */
  readonly tokens: FrameTokens;
  readonly spent: readonly string[];
  /** Whether the right to use a token goes along. Asked once for each. */
  readonly isLive: (token: Token<unknown>) => boolean;
}

/** Encodes a Context. Values that can't travel go to `failures`. */
export function encodeManifest(manifest: Manifest, failures: Failures): Uint8Array {
  const { chain, whole, changes, tokens, spent, isLive } = manifest;
  const variables = encodeChanges(changes, tokens, failures);
  return encodeContext({
    chain,
    whole,
    variables,
    tokens: tokens.size === 0 ? [] : encodeTokens(tokens, isLive, failures),
    spent,
  });
}

/** In the order of the keys, so that equal states have equal bytes. */
function encodeChanges(changes: Changes, tokens: FrameTokens, failures: Failures): Uint8Array {
  const values = changes instanceof Values ? changes : undefined;
  if (values?.encoded !== undefined) return values.encoded;
  const entries: Uint8Array[] = [];
  let isFixed = true;
  for (const key of [...changes.keys()].sort()) {
    const binding = changes.get(key);
    if (binding === undefined) {
      entries.push(encodeVariable(partsOf(key), undefined));
      continue;
    }
    try {
      entries.push(binding.entry(tokens));
      isFixed &&= binding.isFixed;
    } catch (error) {
      isFixed = false;
      failures.add(String(binding.variable), "can't be sent", error);
    }
  }
  const encoded = Buffer.concat(entries);
  if (values !== undefined && isFixed) values.encoded = encoded;
  return encoded;
}

/** Old values may refer to tokens that no other value refers to: these are added while we go. */
function encodeTokens(
  tokens: FrameTokens,
  isLive: Manifest['isLive'],
  failures: Failures,
): Partial<ReceivedToken>[] {
  return Array.from(tokens.all, (token) => {
    const { namespace, name } = token.var;
    const { id = '', old, incomplete } = stateOf(token);
    let complete = !incomplete;
    let value: Uint8Array | undefined;
    try {
      value = old?.encode(tokens);
    } catch (error) {
      complete = false;
      failures.add(String(token.var), "can't be sent as the old value of a token", error);
    }
    let state: TokenState = TokenState.ORPHAN;
    const isUsed = () => stateOf(token).used !== undefined;
    if (!isUsed() && complete && isLive(token)) state = TokenState.LIVE;
    // Also when it counts as used from now on.
    else if (isUsed()) state = TokenState.USED;
    return { id, namespace, name, state, ...(value && { old_value: value }) };
  });
}

/** What came in a Context. */
export interface Arrived {
  readonly tokens: FrameTokens | undefined;
  /** Those that the right to use them came with. */
  readonly live: readonly Token<unknown>[];
  readonly changes: Map<string, Binding | undefined>;
}

/** @param known finds a token that has crossed with the same call */
export function readManifest(
  context: ReceivedContext,
  home: ContextHome,
  known: (id: string) => Token<unknown> | undefined,
): Arrived {
  const changes = recent?.variables === context.variables ? recent.values : undefined;
  if (context.tokens.length === 0) {
    return { tokens: undefined, live: [], changes: changes ?? readVariables(context, undefined) };
  }
  const tokens = new FrameTokens(home);
  const live: Token<unknown>[] = [];
  for (const received of context.tokens) {
    const { id, state } = received;
    const token = known(id) ?? homeToken(home, id) ?? makeToken(received, tokens);
    tokens.add(id, token);
    if (state === TokenState.USED) stateOf(token).used ??= USED_ELSEWHERE;
    else if (state === TokenState.LIVE) live.push(token);
  }
  return { tokens, live, changes: changes ?? readVariables(context, tokens) };
}

/** Values of variables that came last, where nobody can change them. */
let recent:
  | { readonly variables: readonly ReceivedVariable[]; readonly values: Values }
  | undefined;

function readVariables(
  { whole, variables }: ReceivedContext,
  tokens: FrameTokens | undefined,
): Map<string, Binding | undefined> {
  const changes: Map<string, Binding | undefined> = whole ? new Values() : new Map();
  let isFixed = whole;
  for (const { namespace, name, value } of variables) {
    const variable = findVariable(namespace, name);
    const binding = value && Binding.received(variable, value, tokens);
    if (binding === undefined || binding.isCompound) isFixed = false;
    if (binding !== undefined || !whole) changes.set(identityOf(variable), binding);
  }
  if (isFixed) recent = { variables, values: changes as Values };
  return changes;
}

export const USED_ELSEWHERE =
  'was used before, in another process: a token resets its variable once';

function homeToken(home: ContextHome, id: string): Token<unknown> | undefined {
  return home.find(id) as Token<unknown> | undefined;
}

function makeToken(received: ReceivedToken, tokens: FrameTokens): Token<unknown> {
  const { id, namespace, name, old_value: old } = received;
  const variable = findVariable(namespace, name);
  return createToken(variable, {
    old: old && Binding.received(variable, old.slice(), tokens),
    incomplete: false,
    used: undefined,
    holder: undefined,
    place: undefined,
    id,
  });
}

/**
 * Whether the right to use a token that came with it can be this chain's: one that another chain here has
 * is not the sender's to give.
 */
export function takeRight(token: Token<unknown>, chain: Chain): boolean {
  const state = stateOf(token);
  const { id, place } = chain;
  if (id === undefined || (state.holder !== undefined && state.holder !== id)) return false;
  state.holder = id;
  state.place = place;
  return true;
}

/** Gives what `read` gives, after the modules were loaded that it needs. */
export type Load = <T>(read: () => T) => T | Promise<T>;

/** Reads the values that may need modules; drops those that can't be read. */
export function readAll(
  changes: Map<string, Binding | undefined>,
  load: Load,
  failures: Failures,
): Promise<void> | undefined {
  const waiting: Promise<unknown>[] = [];
  for (const [key, binding] of changes) {
    if (binding === undefined || !binding.isCompound || !binding.variable.isDeclared) continue;
    const failed = (error: unknown) => {
      changes.delete(key);
      failures.add(String(binding.variable), "can't be read", error);
    };
    try {
      const read = load(() => {
        binding.read();
      });
      if (read instanceof Promise) waiting.push(read.catch(failed));
    } catch (error) {
      failed(error);
    }
  }
  return waiting.length === 0 ? undefined : Promise.all(waiting).then(() => {});
}
