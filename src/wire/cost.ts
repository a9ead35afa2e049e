/**
 * What a value takes in memory when it is decoded, as both sides count it.
 *
 * The decoder refuses a value that takes more than `ALLOWANCE` and `PER_BYTE` for each of its bytes, so
 * that few bytes can't fill the memory of their receiver. The encoder counts the same, and makes a value
 * longer that would be refused (`TAG_PADDING`). The encoder may count too much, and never too little.
 *
 * The figures are bytes: what Node.js 20 and 24 take at most, hidden classes and tables that have just
 * grown included.
 */

/** What any value may take. */
export const ALLOWANCE = 256 * 1024;
/** What a value may take for each of its bytes, attachments included. */
export const PER_BYTE = 10;

/** Any float, and an integer that has more than 32 bits. */
export const NUMBER = 16;
/** Any object that is not named below. */
export const KIND = 1024;
export const DATE = 96;
export const BOXED = 64;
export const URL_COST = 320;
export const URL_PARAMS = 320;
/** A byte of the text of URLSearchParams, which may be a pair of empty strings. */
export const URL_PARAMS_BYTE = 24;
export const HEADERS = 512;
export const HEADER = 192;
/** What is known by name has an entry in a table, and two notes of some 400 characters at most. */
export const NAME = 2048;
/** Any value of Temporal, of the engine's or of a polyfill. */
export const TEMPORAL = 512;
export const NULL_PROTOTYPE = 184;
/** An instance of a class of the program. */
export const INSTANCE = 192;
/** A function by value, and what it is called by. */
export const INLINE = 4096;
export const MAP = 240;
export const SET = 192;
/** A value that objects inside it refer to has a table of all of them. */
export const SHARED = 24;

/** Text, and the other form of strings; one of a single byte is not made anew. */
export function stringCost(size: number): number {
  return size > 1 ? 20 + 2 * size : 0;
}

export function bigintCost(size: number): number {
  return 24 + 2 * size;
}

/** More items than that are not allocated at once, but as an array that grows. */
export const ALLOCATED_ITEMS = 32 * 1024 * 1024;

export function arrayCost(length: number): number {
  return 48 + (length > ALLOCATED_ITEMS ? 24 : 8) * length;
}

/** A plain object, without its properties. */
export const OBJECT = 56;
/** So many properties or entries have their place in the object itself. */
export const INSIDE = 4;
/** An object with more properties has a table of them, as one without a prototype always has. */
export const TABLE = 16;
/** A property beyond those inside, and one in a table. */
const PROPERTY = 24;
const TABLED = 112;
/** A key that did not follow the one before it in any object so far. */
export const TRANSITION = 128;
export const ERROR = 640;
/** Any property of an error, whatever its key. */
export const ERROR_PROPERTY = TABLED + TRANSITION + 160;
export const MAP_ENTRY = 88;
export const SET_ITEM = 64;

/** All properties of an object. */
export function propertiesCost(count: number, tabled: boolean): number {
  if (count <= INSIDE) return 0;
  return (count - INSIDE) * (tabled || count > TABLE ? TABLED : PROPERTY);
}

/** What one property takes more, after `count` others. */
export function propertyCost(count: number, tabled: boolean): number {
  return propertiesCost(count + 1, tabled) - propertiesCost(count, tabled);
}

/** What a property takes more whose key begins with a digit, after `count` others. */
export function indexCost(count: number): number {
  if (count < INSIDE) return 160;
  return count < TABLE ? 136 : 48;
}

/** The entries that have no place in the object itself. */
export function entriesCost(count: number, each: number): number {
  return count > INSIDE ? (count - INSIDE) * each : 0;
}

/** A small Uint8Array lies on the heap, all other bytes in a buffer beside it. */
export function bytesCost(size: number): number {
  return (size > 64 ? BUFFER : 216) + size;
}

/** What has a buffer, without its bytes. */
export const BUFFER = 400;

/**
 * The engine parses a pattern when the object is made. Names of sets of characters, which only some flags
 * allow, stand for hundreds of ranges, and those of sets of emoji for thousands of strings; a long pattern
 * takes a multiple of its length meanwhile.
 */
export function regExpCost(pattern: string, flags: string): number {
  let cost = 224;
  if (pattern.length > 256) cost += pattern.length * 256;
  if (/[uv]/.test(flags)) cost += 16_384 * count(pattern, /\\[dDpPsSwW]/g);
  if (flags.includes('v')) cost += 1_048_576 * count(pattern, /RGI_|Emoji_Keycap|Basic_Emoji/g);
  return cost;
}

function count(text: string, pattern: RegExp): number {
  let found = 0;
  for (const _ of text.matchAll(pattern)) found++;
  return found;
}
