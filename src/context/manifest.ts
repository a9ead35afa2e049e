/** The state of a chain as it goes out, and as it comes in. */
import { SerializationError } from '../errors.ts';
import {
  encodeContext,
  encodeVariable,
  LOST_CONTEXT,
  MAX_SPENT,
  MAX_VARIABLES,
  mayNameFile,
  type ReceivedContext,
  type ReceivedToken,
  type ReceivedVariable,
  TokenState,
} from '../wire/context.ts';
import { Binding } from './binding.ts';
import { type Chain, type Snapshot, Values } from './chain.ts';
import { FrameTokens } from './frame-tokens.ts';
import type { ContextHome } from './home.ts';
import { labelOf, partsOf } from './key.ts';
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
  /** Ids of tokens that were used. Asked when no code of the program runs any more. */
  readonly spent: () => readonly string[];
  /** Whether the right to use a token goes along. Asked once for each. */
  readonly isLive: (token: Token<unknown>) => boolean;
  readonly direction: 'out' | 'back';
  /** Bytes that there are for it. Values are left out that would take more. */
  readonly room: number;
  /** Takes the keys of variables whose values are left out. */
  readonly leftOut?: string[];
}

interface OldValue {
  readonly bytes: Uint8Array | undefined;
  /** Whether `bytes` says what the variable had. */
  readonly complete: boolean;
}

/** Entries of variables, by their keys. */
class Entries extends Map<string, Uint8Array> {
  /** Whether these values always have these entries. */
  isFixed = true;
}

type OldValues = Map<Token<unknown>, OldValue>;

/** Encodes a Context. Values that can't travel go to `failures`. */
export function encodeManifest(manifest: Manifest, failures: Failures): Uint8Array {
  const { chain, whole, changes, tokens, room } = manifest;
  const values = changes instanceof Values ? changes : undefined;
  let variables = values?.encoded;
  let entries: Entries | undefined;
  if (variables === undefined) {
    entries = encodeChanges(manifest, failures);
    variables = Buffer.concat([...entries.values()]);
    if (values !== undefined && entries.isFixed) values.encoded = variables;
  }
  const old = tokens.size === 0 ? NO_OLD_VALUES : encodeOldValues(tokens, failures);
  const spent = manifest.spent();
  if (spent.length > MAX_SPENT) return LOST_CONTEXT;
  const excess = variables.length + sizeOf(old, spent) - room;
  // What has no room without a Context fails by itself.
  if (excess > 0 && room >= 0) {
    entries ??= encodeChanges(manifest, failures);
    shrink(manifest, entries, old, excess, failures);
    variables = Buffer.concat([...entries.values()]);
  }
  return encodeContext({
    chain,
    whole,
    variables,
    tokens: tokens.size === 0 ? [] : encodeTokens(manifest, old),
    spent,
  });
}

const NO_OLD_VALUES: OldValues = new Map();

/** In the order of the keys, so that equal states have equal bytes. */
function encodeChanges(manifest: Manifest, failures: Failures): Entries {
  const { changes, tokens, direction } = manifest;
  const entries = new Entries();
  for (const key of [...changes.keys()].sort()) {
    const binding = changes.get(key);
    try {
      if (entries.size >= MAX_VARIABLES) throw new SerializationError(TOO_MANY);
      if (binding === undefined) entries.set(key, encodeVariable(partsOf(key), undefined));
      else {
        const entry = tokens.attempt(() => binding.entry(tokens));
        entries.set(key, entry);
        entries.isFixed &&= binding.isFixed;
      }
    } catch (error) {
      entries.isFixed = false;
      leaveOut(manifest, entries, key);
      failures.add(labelOf(partsOf(key)), direction, error);
    }
  }
  return entries;
}

const TOO_MANY = `at most ${MAX_VARIABLES} variables travel at a time`;

/** A worker that has an earlier value must not take it for the present one. */
function leaveOut(manifest: Manifest, entries: Entries, key: string): void {
  const { whole, direction, leftOut } = manifest;
  leftOut?.push(key);
  entries.delete(key);
  if (direction === 'back' || whole || entries.size >= MAX_VARIABLES) return;
  entries.set(key, encodeVariable(partsOf(key), undefined));
}

/** Old values may refer to tokens that no other value refers to: these are added while we go. */
function encodeOldValues(tokens: FrameTokens, failures: Failures): OldValues {
  const values: OldValues = new Map();
  for (const token of tokens.all) {
    const { old, incomplete } = stateOf(token);
    try {
      const bytes = tokens.attempt(() => old?.encode(tokens));
      values.set(token, { bytes, complete: !incomplete });
    } catch (error) {
      values.set(token, INCOMPLETE);
      failures.add(String(token.var), 'old', error);
    }
  }
  return values;
}

const INCOMPLETE: OldValue = { bytes: undefined, complete: false };

/** What a token takes beside its old value, where its names are short; and what a Context has beside values. */
const ITEM_BYTES = 100;

function sizeOf(old: OldValues, spent: readonly string[]): number {
  let size = ITEM_BYTES * (1 + old.size + spent.length);
  for (const { bytes } of old.values()) size += bytes?.length ?? 0;
  return size;
}

// Without its size, so that values of many sizes are warned of once.
const TOO_LARGE = 'it is too large for the room that maxValueBytes leaves beside the call';

/** Leaves out the largest values, as many as it takes. */
function shrink(
  manifest: Manifest,
  entries: Entries,
  old: OldValues,
  excess: number,
  failures: Failures,
): void {
  const parts = [
    ...Array.from(entries, ([key, { length: size }]) => {
      const drop = () => leaveOut(manifest, entries, key);
      return { size, label: labelOf(partsOf(key)), stuck: manifest.direction, drop };
    }),
    ...Array.from(old, ([token, { bytes }]) => {
      const drop = () => old.set(token, INCOMPLETE);
      return { size: bytes?.length ?? 0, label: String(token.var), stuck: 'old' as const, drop };
    }),
  ].sort((one, other) => other.size - one.size);
  let left = excess;
  for (const { size, label, stuck, drop } of parts) {
    if (left <= 0 || size <= ITEM_BYTES) return;
    left -= size;
    drop();
    failures.add(label, stuck, new SerializationError(`${label}: ${TOO_LARGE}`));
  }
}

function encodeTokens({ tokens, isLive }: Manifest, old: OldValues): Partial<ReceivedToken>[] {
  return Array.from(tokens.all, (token) => {
    const { namespace, name } = token.var;
    const { bytes, complete } = old.get(token) ?? INCOMPLETE;
    const isUsed = () => stateOf(token).used !== undefined;
    let state: TokenState = TokenState.ORPHAN;
    if (!isUsed() && complete && isLive(token)) state = TokenState.LIVE;
    // Also when it counts as used from now on.
    else if (isUsed()) state = TokenState.USED;
    const id = stateOf(token).id as string;
    const incomplete = !complete;
    return { id, namespace, name, state, incomplete, ...(bytes && { old_value: bytes }) };
  });
}

/** What came in a Context. */
export interface Arrived {
  readonly tokens: FrameTokens | undefined;
  /** Those that the right to use them came with. */
  readonly live: readonly Token<unknown>[];
  readonly changes: Map<string, Binding | undefined>;
}

type FindBinding = (key: string) => Binding | undefined;

/**
 * @param known finds a token that has crossed with the same call
 * @param withheld finds the value of a variable that the sender takes for unset
 * @param guarded whether the sender must name no files, which others could import who get its values from here
 */
export function readManifest(
  context: ReceivedContext,
  home: ContextHome,
  known: (id: string) => Token<unknown> | undefined,
  withheld: FindBinding = () => undefined,
  guarded = false,
): Arrived {
  const changes = recent?.variables === context.variables ? recent.values : undefined;
  if (context.tokens.length === 0) {
    return { tokens: undefined, live: [], changes: changes ?? readVariables(context, undefined) };
  }
  const tokens = new FrameTokens(home);
  const live: Token<unknown>[] = [];
  for (const sent of context.tokens) {
    const received = guarded ? withoutFile(sent) : sent;
    const { id, state } = received;
    const met = known(id) ?? homeToken(home, id);
    const token = met ?? makeToken(received, tokens, withheld);
    if (met !== undefined) complete(met, received, tokens, withheld);
    tokens.add(id, token);
    if (state === TokenState.USED) stateOf(token).used ??= USED_ELSEWHERE;
    else if (state === TokenState.LIVE) live.push(token);
  }
  return { tokens, live, changes: changes ?? readVariables(context, tokens) };
}

function withoutFile(token: ReceivedToken): ReceivedToken {
  const { old_value: old } = token;
  return old && mayNameFile(old) ? { ...token, old_value: undefined, incomplete: true } : token;
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

export const STILL_OUT = 'counts as used: the task ended while a call of its own still had it';
export const USED_ELSEWHERE =
  'was used before, in another process: a token resets its variable once';

function homeToken(home: ContextHome, id: string): Token<unknown> | undefined {
  return home.find(id) as Token<unknown> | undefined;
}

/** A token may come without its old value at first, for lack of room, and with it later. */
function complete(
  token: Token<unknown>,
  received: ReceivedToken,
  tokens: FrameTokens,
  withheld: FindBinding,
): void {
  const state = stateOf(token);
  if (!state.incomplete || received.incomplete) return;
  state.old = oldValue(received, tokens, withheld);
  state.incomplete = false;
}

function oldValue(
  { namespace, name, old_value: old, incomplete }: ReceivedToken,
  tokens: FrameTokens,
  withheld: FindBinding,
): Binding | undefined {
  const variable = findVariable(namespace, name);
  // A view would keep the whole packet, and show what comes there next; so would a Buffer's `slice`.
  if (old) return Binding.received(variable, new Uint8Array(old), tokens);
  return incomplete ? undefined : withheld(identityOf(variable));
}

function makeToken(
  received: ReceivedToken,
  tokens: FrameTokens,
  withheld: FindBinding,
): Token<unknown> {
  const { id, namespace, name, incomplete } = received;
  return createToken(findVariable(namespace, name), {
    old: oldValue(received, tokens, withheld),
    incomplete,
    used: undefined,
    right: undefined,
    id,
  });
}

/**
 * Whether the right to use a token that came with it can be this chain's: one that another chain here has
 * is not the sender's to give.
 */
export function takeRight(token: Token<unknown>, chain: Chain): boolean {
  const state = stateOf(token);
  const { id } = chain;
  const { right, incomplete } = state;
  if (id === undefined || incomplete || (right !== undefined && right.id !== id)) return false;
  state.right = chain.right;
  return true;
}

const NAMES_FILE =
  'it may name a module by the URL of its file, which is not passed on for those who were not started here: ' +
  'give the program a package.json with a name';

/** Gives what `read` gives, after the modules were loaded that it needs. */
export type Load = <T>(read: () => T) => T | Promise<T>;

/**
 * Reads the values that may need modules. Those that can't be read count as not set in a task, and go back
 * as they came; a caller keeps what it has.
 *
 * @param guarded whether values are dropped that name files and can't be read here, or need not be: the next
 * process that they come to may be one that would import the files
 */
export function readAll(
  changes: Map<string, Binding | undefined>,
  load: Load,
  where: 'inTask' | 'atCaller',
  failures: Failures,
  guarded = false,
): Promise<void> | undefined {
  const waiting: Promise<unknown>[] = [];
  for (const [key, binding] of changes) {
    if (binding === undefined || !binding.isCompound) continue;
    const isFile = guarded && binding.mayNameFile;
    const failed = (error: unknown) => {
      if (where === 'inTask' && !isFile) binding.isReported = true;
      else changes.delete(key);
      failures.add(String(binding.variable), where, error);
    };
    if (!binding.variable.isDeclared) {
      if (isFile) failed(new SerializationError(NAMES_FILE));
      continue;
    }
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
