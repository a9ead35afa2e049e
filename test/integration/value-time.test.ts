/** How long decoding takes: no bytes hold up a process for longer than a plain value of their length does. */
import { describe, expect, test } from 'vitest';
import { LimitExceeded, SerializationError } from '../../src/errors.ts';
import { decodeValue, encodeValue } from '../../src/wire/value.ts';

/** So many times as long as plain records. What is quadratic takes hundreds of times as long. */
const MULTIPLE = 15;

function head(major: number, n: number): Buffer {
  const bytes = Buffer.from([(major << 5) | 26, 0, 0, 0, 0]);
  bytes.writeUInt32BE(n, 1);
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
}

function hex(value: string): Buffer {
  return Buffer.from(value, 'hex');
}

function many(n: number, item: (i: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: n }, (_, i) => item(i)));
}

function list(n: number, item: (i: number) => Buffer): Buffer {
  return Buffer.concat([head(4, n), many(n, item)]);
}

function map(n: number, entry: (i: number) => Buffer): Buffer {
  return Buffer.concat([head(5, n), many(n, entry)]);
}

/** The bigint whose bits beyond the low 64 are `n`. */
function high(n: number, low = 0): Buffer {
  const bytes = Buffer.from([0xc2, 0x4c, ...new Array(12).fill(0)]);
  bytes.writeUInt32BE(n + 1, 2);
  bytes.writeUInt32BE(low, 10);
  return bytes;
}

function regExp(pattern: string, flags: string): Buffer {
  return Buffer.concat([hex('d81b83'), text('RegExp'), text(pattern), text(flags)]);
}

const n = 20_000;
const large = 400_000;
const error = Buffer.concat([hex('d9eb0983'), text('Error')]);
const zero = hex('00');
/** They are put in order, which takes long where there are many. */
const marks = '\u0308\u0323'.repeat(large / 4);
/** Node.js 24 has a limit of its own. */
const longHref = [40_000, 4_000]
  .map((length) => `ftp://a${marks.slice(0, length)}`)
  .filter((url) => URL.canParse(url))
  .map((url) => new URL(url).href)[0]!;

/** Each in as many forms as it is timed: the engine remembers the patterns that it has parsed. */
const patterns: Readonly<Record<string, (run: number) => Buffer>> = {
  RegExps: (run) => list(n / 10, (i) => regExp(`x${i}y${run}`, 'g')),
  'a long RegExp': (run) => regExp('(?:a|b)*'.repeat(4_000) + run, ''),
  'a RegExp of nested groups': (run) =>
    regExp(`${'(?:'.repeat(5_000)}${run}${')'.repeat(5_000)}`, ''),
  'a RegExp of sets': (run) => regExp('[\\p{L}]'.repeat(2_000) + run, 'u'),
  'a RegExp of sets without case': (run) => regExp('[\\W]'.repeat(2_000) + run, 'vi'),
  'a RegExp of emoji': (run) => regExp('\\p{RGI_Emoji}'.repeat(40) + run, 'v'),
  'RegExps of sets': (run) => list(500, (i) => regExp(`\\p{L}\\P{L}${i}y${run}`, 'v')),
};

const cases: Readonly<Record<string, Buffer>> = {
  'a bigint': Buffer.concat([hex('c2'), head(2, large), Buffer.alloc(large, 0xff)]),
  'a negative bigint': Buffer.concat([hex('c3'), head(2, large), Buffer.alloc(large, 0xff)]),
  'UTF-16': Buffer.concat([hex('d9eb03'), head(2, large), Buffer.alloc(large, 0xd8)]),
  'wide characters': text('\u20ac'.repeat(large / 3)),
  'a sparse array': list(large, () => hex('e0')),
  'nested arrays': list(n / 100, () => Buffer.concat([Buffer.alloc(900, 0x81), zero])),
  'nested Maps': list(n / 1_000, () => Buffer.concat([many(900, () => hex('d90103a100')), zero])),
  'nested errors': list(n / 200, () => {
    const open = Buffer.concat([error, hex('a1656361757365')]);
    return Buffer.concat([many(900, () => open), zero, Buffer.alloc(900, 0xa0)]);
  }),
  'many keys': map(n, (i) => Buffer.concat([text(`key ${i}`), zero])),
  'keys that are numbers': map(n, (i) => Buffer.concat([text(String(i * 17)), zero])),
  'numbers from above': map(n, (i) => Buffer.concat([text(String((n - i) * 17)), zero])),
  'keys of one slot of the cache': map(n, (i) =>
    Buffer.concat([text(`a${1e6 + i}mm${1e6 + i}z`), zero]),
  ),
  'equal keys': map(n, () => Buffer.concat([text('key'), zero])),
  'keys __proto__': map(n, () => Buffer.concat([text('__proto__'), zero])),
  'objects without a prototype': list(n, () => hex('d9eb05a1616100')),
  'objects of other keys': list(n, (i) => Buffer.concat([hex('a1'), text(`k${i}`), zero])),
  'a Map with equal keys': Buffer.concat([hex('d90103'), map(n, () => hex('0000'))]),
  'a Set of bigints that differ beyond 64 bits': Buffer.concat([
    hex('d90102'),
    list(n, (i) => high(i)),
  ]),
  'a Map of negative ones': Buffer.concat([
    hex('d90103'),
    map(n, (i) => Buffer.concat([hex('c3'), high(i).subarray(1), zero])),
  ]),
  'Sets of 256 of them': list(n / 256, () => Buffer.concat([hex('d90102'), list(256, high)])),
  'a Set of as many as are taken': Buffer.concat([
    hex('d90102'),
    list(n, (i) => high(i % 256, Math.floor(i / 256))),
  ]),
  'a Set of equal items': Buffer.concat([hex('d90102'), list(n, () => zero)]),
  'an error with equal fields': Buffer.concat([
    error,
    map(n, () => Buffer.concat([text('stack'), zero])),
    hex('a0'),
  ]),
  'an error with many properties': Buffer.concat([
    error,
    hex('a0'),
    map(n, (i) => Buffer.concat([text(`key ${i}`), zero])),
  ]),
  references: Buffer.concat([
    hex('d9eb00'),
    list(n, (i) => (i === 0 ? hex('80') : hex('d9eb0101'))),
  ]),
  'a URL': Buffer.concat([hex('d820'), text(`http://a/${'a/'.repeat(n)}${'../'.repeat(n)}`)]),
  'a URL with a wide host': Buffer.concat([hex('d820'), text(`http://a${marks}`)]),
  'a URL with an encoded host': Buffer.concat([hex('d820'), text(`ws:\\u@a${encodeURI(marks)}`)]),
  'a URL with a long host': Buffer.concat([hex('d820'), text(longHref)]),
  URLSearchParams: Buffer.concat([hex('d81b82'), text('URLSearchParams'), text('a&'.repeat(n))]),
  'Headers with one name': Buffer.concat([
    hex('d81b82'),
    text('Headers'),
    list(n, () => Buffer.concat([hex('82'), text('a'), text('b')])),
  ]),
  'byte arrays': list(n, () => hex('40')),
  buffers: list(n, () => hex('d9eb0640')),
};

/** With as much padding as lets most of them arrive; its bytes count. */
function padded(item: Buffer, factor: number): Buffer {
  const padding = Buffer.alloc(item.length * factor);
  return Buffer.concat([hex('d9eb0a82'), item, head(2, padding.length), padding]);
}

/** Milliseconds of the processor, the best of three. */
function timeOf(bytesOf: (run: number) => Uint8Array): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const bytes = bytesOf(i);
    const start = process.cpuUsage();
    try {
      decodeValue(bytes);
    } catch (error) {
      if (!(error instanceof SerializationError || error instanceof LimitExceeded)) throw error;
    }
    best = Math.min(best, process.cpuUsage(start).user / 1_000);
  }
  return best;
}

const records = encodeValue(
  Array.from({ length: 5_000 }, (_, id) => ({ id, name: `name ${id}`, at: [id] })),
) as Uint8Array;

/** How many times as long as plain records of its length, both timed at the same moment. */
function multipleOf(bytesOf: (run: number) => Uint8Array): number {
  const elapsed = timeOf(bytesOf);
  // Small ones take less than what the clock can tell.
  if (elapsed <= 10) return 0;
  const plain = timeOf(() => records) / records.length;
  return elapsed / bytesOf(0).length / plain;
}

/** A busy machine may take the processor's caches away for a while, but not each time. */
const ATTEMPTS = 4;

describe.for([0, 1, 12, 60])('padded by %i times its length', (factor) => {
  const all = {
    ...patterns,
    ...Object.fromEntries(Object.entries(cases).map(([name, item]) => [name, () => item])),
  };
  test.for(Object.entries(all))('%s', ([, item]) => {
    const bytesOf = (run: number) => (factor === 0 ? item(run) : padded(item(run), factor));
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < ATTEMPTS && least >= MULTIPLE; i++) {
      // A form for each time that it is decoded.
      const first = (factor * ATTEMPTS + i) * 10;
      least = Math.min(
        least,
        multipleOf((run) => bytesOf(first + run)),
      );
    }
    expect(least).toBeLessThan(MULTIPLE);
  });
});
