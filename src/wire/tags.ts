/**
 * The tags that values travel under, and the limits of the codec.
 *
 * Where a public tag says what is meant, it is used. The others stand together in the
 * first-come-first-served space of RFC 8949; they are this protocol's own and not registered.
 */

/**
 * Nesting deeper than this is refused, on the way out and on the way in. Arrays and plain objects are one
 * level, kinds `KIND_DEPTH`: so two thirds of the engine's default stack suffice for any value, even where
 * no code was optimised yet.
 */
export const MAX_DEPTH = 1_000;
/** What a kind counts, as it takes up to twice the stack of a plain object. */
export const KIND_DEPTH = 2;

/** Errors inside errors (`cause`, `errors`, properties) deeper than this are left out, with a note. */
export const MAX_ERROR_DEPTH = 100;

/** Byte arrays of at least this many bytes travel beside the CBOR, without a copy. */
export const ATTACHMENT_BYTES = 64 * 1024;

/** Empty places of one sparse array; each takes a byte on the wire. */
export const MAX_HOLES = 1_000_000;

// Public ones.
export const TAG_EPOCH_SECONDS = 1;
export const TAG_BIGINT = 2;
export const TAG_NEGATIVE_BIGINT = 3;
/** An array of a type's name and its constructor's arguments, or what stands for them. */
export const TAG_OBJECT = 27;
/** Text: a URL. */
export const TAG_URI = 32;
/** RFC 8746 has the tags of typed arrays: see `bytes.ts`. */
export const TAG_SET = 258;
export const TAG_MAP = 259;

// Ours.
const OURS = 60_160;
/**
 * Only as the outermost item, or in `TAG_PADDING`: inside, the same object occurs more than once, as `TAG_REFERENCE`.
 * The prefix stands for three bytes: a head with a two-byte number.
 */
export const TAG_SHARING = OURS;
/**
 * An unsigned number n: the same object as the n-th one of this value. Every array, map, byte string
 * and kind that is an object to the program has a number, in the order of first bytes, from 0.
 */
export const TAG_REFERENCE = OURS + 1;
/** An unsigned number n, in the place of a byte string: the bytes are the n-th attachment. */
export const TAG_ATTACHMENT = OURS + 2;
/** A byte string of UTF-16LE code units: a string with lone surrogates, which UTF-8 cannot hold. */
export const TAG_UTF16 = OURS + 3;
/** Milliseconds since the epoch, for dates that seconds in a float cannot hold exactly. */
export const TAG_EPOCH_MILLISECONDS = OURS + 4;
/** A map: an object without a prototype. */
export const TAG_NULL_PROTOTYPE = OURS + 5;
/** A byte string: an ArrayBuffer, a Node.js Buffer, a DataView. A bare byte string is a Uint8Array. */
export const TAG_ARRAY_BUFFER = OURS + 6;
export const TAG_BUFFER = OURS + 7;
export const TAG_DATA_VIEW = OURS + 8;
/** An array of class name, map of the fields that a program does not list, map of its own properties. */
export const TAG_ERROR = OURS + 9;
/**
 * Only as the outermost item, around `TAG_SHARING`, too: an array of the value and a byte string whose
 * bytes mean nothing. It makes a value long enough for what it takes in memory: see `cost.ts`.
 */
export const TAG_PADDING = OURS + 10;
/**
 * The name of a routine, of a class. A name is an array of the module's URL and the name in it; where the
 * same one occurs again in the value, an unsigned number n: the n-th different name, from 0.
 */
export const TAG_ROUTINE = OURS + 11;
export const TAG_CLASS = OURS + 12;
/** An array of the name of a class and a map of the properties of an instance. */
export const TAG_INSTANCE = OURS + 13;
/**
 * An array of type, buffer, offset in bytes, length in elements: a view on a buffer that others show too.
 * The type is the tag that the view would have on its own, and 64 (RFC 8746) for a Uint8Array. The buffer
 * is a `TAG_ARRAY_BUFFER`, or a reference to one.
 */
export const TAG_VIEW = OURS + 14;
/** As `TAG_INSTANCE`, with what the class's `encode` gave in the place of the properties. */
export const TAG_ENCODED_INSTANCE = OURS + 15;

/** An array of name, source, whether it is a generator, attempts, map of captures: a function by value. */
export const TAG_INLINE = OURS + 16;
/** An array of namespace and name: a context variable itself, not what it holds. */
export const TAG_VARIABLE = OURS + 17;
/** The id of a token of a context variable. What it is, the frame's Context says. */
export const TAG_TOKEN = OURS + 18;

/** Simple value 0, inside an array only: an empty place, as in `[1, , 3]`. */
export const HOLE = 0xe0;
