/**
 * Context variables and their tokens, as values. A variable travels as its key. A token travels as its id,
 * and only inside of a call, whose frames say what token that is.
 */
import { kind } from './kinds.ts';
import { damaged } from './reader.ts';
import { Refusal } from './refusal.ts';
import { TAG_TOKEN, TAG_VARIABLE } from './tags.ts';
import { MAJOR } from './writer.ts';

/** What identifies a variable. */
export interface VariableKey {
  readonly namespace: string;
  readonly name: string;
}

/** What the codec needs to know of variables and tokens. */
export interface ContextObjects {
  keyOf(value: object): VariableKey | undefined;
  /** The variable with this key; one that is not declared here gets a place to wait in. */
  findVariable(namespace: string, name: string): object;
  isToken(value: object): boolean;
}

/** The tokens of the frame that is being written or read. */
export interface TokenTable {
  /** Notes a token that a value refers to, and gives its id. */
  refer(token: object): string;
  find(id: string): object | undefined;
  readonly all: Iterable<object>;
}

let objects: ContextObjects | undefined;
let table: TokenTable | undefined;

export function registerContextObjects(known: ContextObjects): void {
  objects = known;
}

/** Runs `fn`, which encodes or decodes values of a frame that has these tokens. */
export function withTokens<T>(tokens: TokenTable | undefined, fn: () => T): T {
  const before = table;
  table = tokens;
  try {
    return fn();
  } finally {
    table = before;
  }
}

const variableKind = kind<object>({
  prototypes: [],
  matches: (value) => objects?.keyOf(value) !== undefined,
  write(sink, value) {
    const { namespace, name } = (objects as ContextObjects).keyOf(value) as VariableKey;
    sink.tag(TAG_VARIABLE);
    sink.head(MAJOR.array, 2);
    sink.text(namespace);
    sink.text(name);
  },
  read: {
    [TAG_VARIABLE]: (source) => {
      if (source.count(MAJOR.array) !== 2) throw damaged('a variable without its two parts');
      const namespace = source.text();
      const name = source.text();
      if (objects === undefined) throw damaged('context variables are not known here');
      return objects.findVariable(namespace, name);
    },
  },
});

const tokenKind = kind<object>({
  prototypes: [],
  matches: (value) => objects?.isToken(value) === true,
  write(sink, value) {
    if (table === undefined) {
      throw new Refusal('a token of a context variable', 'it crosses inside of a call only');
    }
    const id = table.refer(value);
    sink.tag(TAG_TOKEN);
    sink.text(id);
  },
  read: {
    [TAG_TOKEN]: (source) => {
      const token = table?.find(source.text());
      if (token === undefined) throw damaged('it refers to a token that did not come with it');
      return token;
    },
  },
});

export const contextKinds = [variableKind, tokenKind];
