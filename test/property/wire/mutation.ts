/**
 * Encoded values that a seed damages, by accident or by design, and what may come of decoding them. The
 * property tests take some of them, and the soak takes a million.
 */
import { getHeapStatistics } from 'node:v8';
import fc from 'fast-check';
import { LimitExceeded, SerializationError } from '../../../src/errors.ts';
import { Random } from '../../../src/testing/random.ts';
import { decodeError, encodeError } from '../../../src/wire/error.ts';
import { decodeValue, encodeValue } from '../../../src/wire/value.ts';
import { graph, tree } from './arbitraries.ts';

/** An encoded value: one item and its attachments. */
type Parts = readonly [item: Uint8Array, ...attachments: Uint8Array[]];

/** Heads that claim more than there is, open what is never closed, or mean something special. */
const heads = [
  // Arrays, maps and strings that claim too much.
  ...['9affffffff', 'baffffffff', '5affffffff', '7affffffff', '9b001fffffffffffff', '98ff'],
  ...['9a00ffffff', 'b9ffff', '79ffff', '59ffff', '9a7fffffff', '9bffffffffffffffff'],
  // Collections, references, attachments, bigints, errors, instances, views, padding.
  ...['d90103b9ffff', 'd9010299ffff', 'd9eb00', 'd9eb0100', 'd9eb0200', 'd9eb0983', 'd9eb0984'],
  ...[
    'c25affffffff',
    'c35affffffff',
    'd9eb0a82',
    'd9eb0d82',
    'd9eb0f82',
    'd9eb0e84',
    'd9eb0b82',
    'd9eb0361',
  ],
  ...['d81b83', 'd81b82', 'd82061', 'd84d', 'c1', 'd9eb04', 'd9eb05', 'd9eb06', 'd9eb07', 'd9eb08'],
  // Nesting.
  ...['81', 'a16161', 'd9010281', 'd90103a1', 'd9eb05a16161', 'd9eb0983654572726f72a1656361757365'],
  // Small things that take much memory.
  ...['80', 'a0', '40', 'c100', 'd90103a0', 'd9010280', 'a16339393900', 'a1613900', 'f97e00'],
  // Keys, holes, ends, floats, numbers.
  ...[
    'a1695f5f70726f746f5f5f',
    'a16b636f6e7374727563746f72',
    'bf',
    'ff',
    'e0',
    'f93c00',
    'fa',
    'fb',
  ],
  ...['1bffffffffffffffff', '3bffffffffffffffff', '1a80000000', 'f8ff'],
].map((head) => Buffer.from(head, 'hex'));

/** Tags that mean something, and one that means nothing. */
const tags = [
  ...[0, 1, 2, 3, 27, 32, 64, 68, 72, 77, 79, 84, 86, 258, 259],
  ...Array.from({ length: 20 }, (_, i) => 60_160 + i),
];

const ORIGINALS = 120;

/** Values that are damaged; always the same ones. */
const originals = withoutFrames(collect);

/** The frames of an error are not the same everywhere. */
function withoutFrames<T>(fn: () => T): T {
  const { stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = 0;
    return fn();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function collect(): readonly Parts[] {
  const sample = (arbitrary: fc.Arbitrary<unknown>, seed: number) =>
    fc.sample(arbitrary, { seed, numRuns: ORIGINALS });
  const bytes = (first: number) => new Uint8Array(70_000).fill(first, 0, 1);
  return [
    ...sample(tree, 1).map((value) => partsOf(value)),
    ...sample(graph, 2).map((value) => partsOf(value)),
    ...sample(tree, 3).map((value): Parts => [encodeError(new TypeError('x', { cause: value }))]),
    ...sample(tree, 4)
      .slice(0, ORIGINALS / 5)
      .map((value) => partsOf([bytes(1), value, { a: bytes(2).buffer }, bytes(3)])),
    partsOf(Array.from({ length: 2_000 }, () => [[], {}, new Map()])),
  ];
}

function partsOf(value: unknown): Parts {
  const encoded = encodeValue(value);
  return encoded instanceof Uint8Array ? [encoded] : (encoded as unknown as Parts);
}

type Step = (random: Random, bytes: Buffer) => Buffer;

const steps: readonly Step[] = [
  // A bit that fell over.
  (random, bytes) => {
    const copy = Buffer.from(bytes);
    const at = random.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    return copy;
  },
  // A byte that is any other.
  (random, bytes) => {
    const copy = Buffer.from(bytes);
    copy[random.below(copy.length)] = random.below(256);
    return copy;
  },
  // An end that is missing.
  (random, bytes) => bytes.subarray(0, random.below(bytes.length)),
  // A part that is missing.
  (random, bytes) => {
    const at = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(20))]);
  },
  // A part of itself, or of another value.
  (random, bytes) => {
    const [other] = random.below(2) ? [bytes] : originals[random.below(originals.length)]!;
    const from = random.below(other.length);
    return insert(random, bytes, other.subarray(from, from + random.below(200)));
  },
  // Heads, one or a bomb of them.
  (random, bytes) => {
    const times = random.below(4) === 0 ? random.below(2_000) : 1 + random.below(3);
    return insert(random, bytes, repeated(heads[random.below(heads.length)]!, times));
  },
  // Another length, count or number in a head.
  (random, bytes) => {
    const copy = Buffer.from(bytes);
    const at = random.below(copy.length);
    const wide = 24 + random.below(4);
    copy[at] = ((copy[at] ?? 0) & 0xe0) | (random.below(2) ? wide : random.below(24));
    return copy;
  },
  // Another tag.
  (random, bytes) => {
    const found = [];
    for (let at = 0; at < bytes.length - 2; at++) if (bytes[at] === 0xd9) found.push(at);
    if (found.length === 0) return bytes;
    const copy = Buffer.from(bytes);
    copy.writeUInt16BE(tags[random.below(tags.length)]!, found[random.below(found.length)]! + 1);
    return copy;
  },
];

function insert(random: Random, bytes: Buffer, part: Uint8Array): Buffer {
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
}

function repeated(part: Uint8Array, times: number): Buffer {
  return Buffer.concat(new Array<Uint8Array>(times).fill(part));
}

/** What a seed stands for. */
export function damage(seed: number): Parts {
  const random = Random.of(seed, 'mutation');
  const [item, ...attachments] = originals[random.below(originals.length)]!;
  let bytes: Buffer = Buffer.from(item);
  for (let n = 1 + random.below(4); n > 0 && bytes.length > 0; n--) {
    bytes = steps[random.below(steps.length)]!(random, bytes);
  }
  return [bytes, ...damageAttachments(random, attachments)];
}

/** Most are left as they are, so that the item is read to its end. */
function damageAttachments(random: Random, attachments: readonly Uint8Array[]): Uint8Array[] {
  switch (random.below(12)) {
    case 0:
      return attachments.slice(0, -1);
    case 1:
      return [...attachments, new Uint8Array(random.below(100))];
    case 2:
      return attachments.map((bytes) => bytes.subarray(0, random.below(bytes.length)));
    case 3:
      return attachments.toReversed();
    default:
      return [...attachments];
  }
}

const builtIns = [Object, Array, Map, Set, Error, Function, RegExp, Promise].map(
  (Class) => Class.prototype,
);

function snapshot(): string {
  return builtIns.map((prototype) => Reflect.ownKeys(prototype).map(String).join()).join('\n');
}

const before = snapshot();

/** Longer than any of these values takes. */
const SLOW_MS = 200;
/** What decoding may leave behind as garbage, apart from what the value takes. */
const GARBAGE = 24 * 1024 * 1024;

/** Decodes what a seed stands for; says what is wrong, if anything is. */
export function tryMutation(seed: number): string | undefined {
  const parts = damage(seed);
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const { stackTraceLimit } = Error;
  const heap = getHeapStatistics().used_heap_size;
  const start = performance.now();
  const wrong = decodesOrRefuses(parts);
  const elapsed = performance.now() - start;
  if (wrong !== undefined) return describe(wrong, parts);
  if (elapsed > SLOW_MS && isSlow(parts)) return describe(`takes ${elapsed} ms`, parts);
  const taken = getHeapStatistics().used_heap_size - heap;
  if (taken > 10 * size + GARBAGE) return describe(`takes ${taken} bytes of memory`, parts);
  if (Error.stackTraceLimit !== stackTraceLimit) return describe('changes Error', parts);
  if (seed % 64 === 0 && snapshot() !== before) return describe('changes a prototype', parts);
  return undefined;
}

/** Some in a row; the seed of the first one that fails, and why. */
export function tryMutations(
  from: number,
  count: number,
): { readonly seed: number; readonly text: string } | undefined {
  for (let seed = from; seed < from + count; seed++) {
    const text = tryMutation(seed);
    if (text !== undefined) return { seed, text };
  }
  if (snapshot() === before) return undefined;
  return { seed: from, text: `one of ${count} from here on changes a prototype` };
}

function decodesOrRefuses([item, ...attachments]: Parts): string | undefined {
  try {
    if (attachments.length === 0 && item.length % 2 === 0) decodeError(item, item.length % 4 === 0);
    else decodeValue(item, attachments);
    return undefined;
  } catch (error) {
    if (error instanceof SerializationError || error instanceof LimitExceeded) return undefined;
    return `throws ${error instanceof Error ? error.stack : String(error)}`;
  }
}

/** By the processor's time, and the best of three: the machine may have other things to do. */
function isSlow(parts: Parts): boolean {
  for (let i = 0; i < 3; i++) {
    const start = process.cpuUsage();
    decodesOrRefuses(parts);
    if (process.cpuUsage(start).user < SLOW_MS * 1_000) return false;
  }
  return true;
}

function describe(what: string, [item]: Parts): string {
  return `${what}: ${Buffer.from(item.subarray(0, 2_000)).toString('hex')}`;
}
