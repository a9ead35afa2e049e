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
  /** Notes a token that a value refers to, and gives its id; undefined where there are too many. */
  refer(token: object): string | undefined;
  find(id: string): object | undefined;
}

/** Tokens that values of one frame may refer to. */
export const MAX_TOKENS = 10_000;

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
      if (!isVariableKey({ namespace, name })) throw damaged('no name of a context variable');
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
    if (id === undefined) {
      const most = MAX_TOKENS.toLocaleString('en');
      throw new Refusal('one more token', `at most ${most} cross at a time`);
    }
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

/** Whether a variable can have this key: NUL stands between its parts elsewhere. */
export function isVariableKey({ namespace, name }: VariableKey): boolean {
  return name !== '' && !name.includes('\0') && !namespace.includes('\0');
}

/** The last two bytes of the tag's head, whatever its length. */
const TOKEN_MARK = Buffer.of(TAG_TOKEN >>> 8, TAG_TOKEN & 0xff);

/** The ids of tokens that an encoded value refers to; perhaps other texts, too. */
export function* tokenIdsIn(item: Uint8Array): Iterable<string> {
  const bytes = Buffer.from(item.buffer, item.byteOffset, item.byteLength);
  let at = bytes.indexOf(TOKEN_MARK);
  while (at >= 0) {
    const id = textAt(bytes, at + TOKEN_MARK.length);
    if (id !== undefined) yield id;
    at = bytes.indexOf(TOKEN_MARK, at + 1);
  }
}

/** Longer than any id that a sender gives. */
const LONGEST_ID = 1_000;

function textAt(bytes: Buffer, at: number): string | undefined {
  const head = (bytes[at] ?? 0) - MAJOR.text;
  if (head < 0 || head > 27) return undefined;
  const wide = head < 24 ? 0 : 2 ** (head - 24);
  const start = at + 1 + wide;
  if (start > bytes.length) return undefined;
  const length = wide === 0 ? head : Number(`0x${bytes.toString('hex', at + 1, start)}`);
  return length > LONGEST_ID ? undefined : bytes.toString('utf8', start, start + length);
}

const FILE_URL = 'file:';
const FILE_URL_UTF16 = Buffer.from(FILE_URL, 'utf16le');

/** Whether an encoded value may name a module by the URL of its file: a text in it begins like one. */
export function mayNameFile(item: Uint8Array): boolean {
  const bytes = Buffer.from(item.buffer, item.byteOffset, item.byteLength);
  for (let at = bytes.indexOf(FILE_URL); at >= 0; at = bytes.indexOf(FILE_URL, at + 1)) {
    if (isAfterHead(bytes, at)) return true;
  }
  return bytes.includes(FILE_URL_UTF16);
}

/** Whether what is before may be the head of a text, with its length in itself or in 1, 2, 4 or 8 bytes. */
function isAfterHead(bytes: Buffer, at: number): boolean {
  const short = (bytes[at - 1] ?? 0) - MAJOR.text;
  if (short >= 0 && short < 24) return true;
  return [1, 2, 4, 8].some((wide, i) => bytes[at - 1 - wide] === MAJOR.text + 24 + i);
}

export const contextKinds = [variableKind, tokenKind];
