/** Frames and envelopes: what is written is what is read, and damaged bytes are refused. */
import { deepStrictEqual, ok, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { PbfWriter } from 'pbf';
import { test } from 'vitest';
import { ProtocolError } from '../../src/errors.ts';
import {
  CancelReason,
  CHUNK_OVERHEAD_BYTES,
  decodeEnvelope,
  EnvelopeWriter,
  encodeChunk,
  type Frame,
  type FrameBody,
  GoodbyeReason,
  NackReason,
  type OutFrame,
  type Value,
} from '../../src/wire/frame.ts';
import { type Frame as Fields, writeFrame } from '../../src/wire/generated/worker.js';
import { codePoint } from './text.ts';

const uint32 = fc.oneof(fc.nat(300), fc.nat(0xffff_ffff));
const uint64 = fc.oneof(fc.nat(300), fc.maxSafeNat());
// UTF-8 has no lone surrogates; texts that hold some are changed on the way.
const anyText = fc.string({ unit: codePoint, maxLength: 30 });
const text = fc.oneof(
  anyText,
  fc.string({ maxLength: 400 }),
  fc.constantFrom('', '\u0000', '\u{1F9F6}', '\u{3134A}'),
);
const bytes = fc.uint8Array({ maxLength: 300 });
const double = fc.double({ noNaN: true, min: 0 });
const oneOf = <T>(values: { readonly [name: string]: T }) =>
  fc.constantFrom(...Object.values(values));

const maybeBytes = fc.option(bytes, { nil: undefined });
const value: fc.Arbitrary<Value> = fc.record({
  item: maybeBytes,
  attachments: fc.array(bytes, { maxLength: 4 }),
  transfer: uint32,
  lengths: fc.array(uint64, { maxLength: 5 }),
  context: maybeBytes,
  context_last: fc.boolean(),
});
const maybeValue = fc.option(value, { nil: undefined });

const about = fc.record({
  host: text,
  pid: uint32,
  version: text,
  tags: fc.array(text, { maxLength: 4 }),
  concurrency: uint32,
  beat: text,
  extra: fc.array(fc.record({ key: text, value: text }), { maxLength: 4 }),
  secure: fc.boolean(),
});

/** All fields of all frames. */
const bodies: { readonly [Body in FrameBody]: fc.Arbitrary<NonNullable<Fields[Body]>> } = {
  hello: fc.record({
    version: uint32,
    uid: text,
    max_value_bytes: uint64,
    window: uint32,
    expects: text,
    about: fc.option(about, { nil: undefined }),
    max_calls: uint32,
    max_incoming_bytes: uint64,
  }),
  goodbye: fc.record({
    reason: oneOf(GoodbyeReason),
    message: text,
    last_call: uint64,
    _last_call: fc.constant('last_call' as const),
    breach: fc.option(fc.record({ limit: text, value: double, max: double }), { nil: undefined }),
  }),
  routine: fc.record({ number: uint32, module: text, name: text }),
  credit: fc.record({ bytes: uint64 }),
  chunk: fc.record({
    transfer: uint32,
    data: maybeBytes,
    total: uint64,
    abandoned: fc.boolean(),
    lengths: fc.array(uint64, { maxLength: 5 }),
  }),
  task: fc.record({
    routine: uint32,
    args: maybeValue,
    sequence: uint64,
    generator: fc.boolean(),
    caller: text,
    timeout_ms: double,
    tag: text,
    attempt: uint32,
    dispatch: fc.option(fc.record({ timeout_ms: double, tag: text }), { nil: undefined }),
    context_shared: fc.constant(0),
  }),
  ack: fc.constant({}),
  nack: fc.record({ reason: oneOf(NackReason), message: text, error: maybeValue }),
  next: fc.constant({}),
  send: fc.record({ value: maybeValue }),
  throw: fc.record({ error: maybeValue }),
  return: fc.record({ value: maybeValue }),
  result: fc.record({ value: maybeValue, done: fc.boolean() }),
  error: fc.record({ error: maybeValue }),
  cancel: fc.record({ reason: oneOf(CancelReason) }),
  ping: fc.constant({}),
  pong: fc.constant({}),
};

const frame = fc.oneof(
  ...Object.entries<fc.Arbitrary<unknown>>(bodies).map(([body, fields]) =>
    fc.record({ call: uint64, [body]: fields }),
  ),
) as fc.Arbitrary<OutFrame>;
const frames = fc.array(frame, { maxLength: 6 });

const number = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  uint64.map((some) => some || 1),
);

function encode(list: readonly OutFrame[], room?: number, sequence = 1): Uint8Array {
  const writer = new EnvelopeWriter(room);
  for (const one of list) writer.add(one);
  return writer.finish(sequence);
}

/** A received frame, as it was given to be sent. */
function sentOf(frame: Frame): unknown {
  const { call, body, ...fields } = frame as unknown as { call: number; body: string };
  const set = Object.entries(fields).filter(([, field]) => field !== undefined);
  deepStrictEqual(
    set.map(([name]) => name),
    [body],
  );
  return { call, ...Object.fromEntries(set) };
}

/** The same with all byte strings as text: an array may have become a Buffer. */
function plain(value: unknown): unknown {
  const replace = (some: unknown): unknown =>
    some instanceof Uint8Array ? `bytes ${Buffer.from(some).toString('hex')}` : some;
  const visit = (some: unknown): unknown => {
    const one = replace(some);
    if (Array.isArray(one)) return one.map(visit);
    if (typeof one !== 'object' || one === null) return one;
    return Object.fromEntries(Object.entries(one).map(([key, field]) => [key, visit(field)]));
  };
  return visit(value);
}

test('what is written is read', () => {
  fc.assert(
    fc.property(frames, fc.nat(300), number, (list, room, sequence) => {
      const read = decodeEnvelope(encode(list, room, sequence));
      deepStrictEqual(plain(read.frames.map(sentOf)), plain(list));
      deepStrictEqual(read.sequence, sequence);
    }),
    { numRuns: 3_000 },
  );
});

// Written by pbf's own writer, which misspells characters of plane 2 and above.
const misspelt = /[\u{20000}-\u{10FFFF}]/u;

test('fields of a later version are passed over', () => {
  const fieldNumber = fc.integer({ min: 100, max: 0x0fff_ffff });
  const field = fc.oneof(
    fc.tuple(fieldNumber, uint64).map(
      ([at, some]) =>
        (pbf: PbfWriter) =>
          pbf.writeVarintField(at, some),
    ),
    fc.tuple(fieldNumber, double).map(
      ([at, some]) =>
        (pbf: PbfWriter) =>
          pbf.writeDoubleField(at, some),
    ),
    fc.tuple(fieldNumber, uint32).map(
      ([at, some]) =>
        (pbf: PbfWriter) =>
          pbf.writeFixed32Field(at, some),
    ),
    fc.tuple(fieldNumber, bytes).map(
      ([at, some]) =>
        (pbf: PbfWriter) =>
          pbf.writeBytesField(at, some),
    ),
  );
  const more = fc.array(field, { maxLength: 3 });
  fc.assert(
    fc.property(frames, more, more, more, (list, before, after, outside) => {
      fc.pre(!misspelt.test(JSON.stringify(list)));
      const pbf = new PbfWriter();
      const write = (one: OutFrame) => {
        for (const add of before) add(pbf);
        writeFrame(one as Parameters<typeof writeFrame>[0], pbf);
        for (const add of after) add(pbf);
      };
      for (const one of list) {
        pbf.writeMessage(1, write, one);
        for (const add of outside) add(pbf);
      }
      deepStrictEqual(plain(decodeEnvelope(pbf.finish()).frames.map(sentOf)), plain(list));
    }),
    { numRuns: 1_000 },
  );
});

const task = (context: Uint8Array, shared?: number): OutFrame => ({
  call: 1,
  task: { args: { context }, ...(shared && { context_shared: shared }) },
});

/** Contexts of tasks, and how many bytes of them came. */
const contextsIn = (bytes: Uint8Array) =>
  decodeEnvelope(bytes).frames.map((frame) => {
    ok(frame.body === 'task');
    const { args, context_shared: shared } = frame.task;
    const context = Buffer.from(args?.context ?? []);
    return { hex: context.toString('hex'), came: context.length - shared };
  });

test('contexts that begin as the one before are whole again', () => {
  const start = fc.uint8Array({ minLength: 100, maxLength: 300 });
  const end = fc.tuple(fc.nat(300), fc.uint8Array({ maxLength: 60 }));
  fc.assert(
    fc.property(start, fc.array(end, { maxLength: 8 }), (common, ends) => {
      const contexts = ends.map(([length, rest]) =>
        Buffer.concat([common.subarray(0, length), rest]),
      );
      const read = contextsIn(encode(contexts.map((context) => task(context))));
      deepStrictEqual(
        read.map(({ hex }) => hex),
        contexts.map((context) => context.toString('hex')),
      );
    }),
    { numRuns: 1_000 },
  );
});

test('what tasks have in common travels once in an envelope', () => {
  const common = Buffer.alloc(1_000, 'x');
  const contexts = Array.from({ length: 50 }, (_, i) => Buffer.concat([common, Buffer.of(i)]));
  const came = contextsIn(encode(contexts.map((context) => task(context)))).map((one) => one.came);
  deepStrictEqual(came, [1_001, ...new Array<number>(49).fill(1)]);
});

test('a task can leave out no more of its context than the one before has, and all together 4 MiB', () => {
  const whole = Buffer.alloc(1 << 20, 'x');
  const rest = Buffer.of(1);
  const tasks = (...shared: number[]) =>
    byOther([task(whole), ...shared.map((length) => task(rest, length))]);
  const refused = (bytes: Uint8Array) => throws(() => decodeEnvelope(bytes), ProtocolError);
  const most = whole.length;
  deepStrictEqual(contextsIn(tasks(most, most + 1)).length, 3);
  refused(tasks(most + 1));
  refused(tasks(most, most + 2));
  deepStrictEqual(contextsIn(tasks(most, most, most, most)).length, 5);
  refused(tasks(most, most, most, most, 1));
  refused(byOther([task(rest, 1)]));
});

/** An envelope that says of itself what its tasks leave out. */
function byOther(list: readonly OutFrame[]): Uint8Array {
  const pbf = new PbfWriter();
  for (const one of list) pbf.writeMessage(1, writeFrame, one as Parameters<typeof writeFrame>[0]);
  return pbf.finish();
}

/** What happens to bytes on the way, by accident or by design. */
type Mutation = (bytes: Uint8Array) => Uint8Array;

const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
/** Numbers that never end, lengths beyond the end, fields of other kinds, numbers without a field. */
const pieces = [
  'ffffffffffffffffffff',
  'ffffffffffffffffff01',
  'ffffffff0f',
  '80',
  '8080808000',
  '0a',
  '0a00',
  '0affffffff07',
  '1affffffffffffffff7f',
  '12feffffffffffffffff01',
  '0b',
  '0f',
  '00',
  '4200',
  '0d',
  '09',
].map((piece) => Buffer.from(piece, 'hex'));

function splice(bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array {
  const index = Math.floor(at * bytes.length);
  return Buffer.concat([bytes.subarray(0, index), part, bytes.subarray(index)]);
}

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.nat(255)).map(([at, some]): Mutation => {
    return (bytes) => {
      const index = Math.floor(at * bytes.length);
      return bytes.map((byte, i) => (i === index ? some : byte));
    };
  }),
  fc.tuple(position, fc.nat(7)).map(([at, bit]): Mutation => {
    return (bytes) => {
      const index = Math.floor(at * bytes.length);
      return bytes.map((byte, i) => (i === index ? byte ^ (1 << bit) : byte));
    };
  }),
  position.map(
    (at): Mutation =>
      (bytes) =>
        bytes.slice(0, Math.floor(at * bytes.length)),
  ),
  fc.tuple(position, position, position).map(([from, to, at]): Mutation => {
    return (bytes) => {
      const part = bytes.slice(Math.floor(from * bytes.length), Math.floor(to * bytes.length));
      return splice(bytes, at, part);
    };
  }),
  fc.tuple(position, fc.constantFrom(...pieces), fc.integer({ min: 1, max: 3 })).map(
    ([at, piece, times]): Mutation =>
      (bytes) =>
        splice(bytes, at, Buffer.concat(new Array<Buffer>(times).fill(piece))),
  ),
);

/** Decodes, and allows no other failure than the one that is promised. */
function decodesOrRefuses(bytes: Uint8Array): void {
  let list: readonly Frame[];
  try {
    list = decodeEnvelope(bytes).frames;
  } catch (error) {
    ok(error instanceof ProtocolError, `not a ProtocolError: ${String(error)}`);
    return;
  }
  for (const one of list) ok(typeof one.call === 'number' && bodies[one.body] !== undefined);
  // Everything takes at least a byte: nothing was read twice, and nothing made up.
  const shared = list.map((one) => (one.body === 'task' ? one.task.context_shared : 0));
  ok(items(list) <= bytes.length + shared.reduce((sum, length) => sum + length, 0));
}

/** How many frames, list items and bytes there are. */
function items(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  if (Array.isArray(value)) return value.reduce((sum, one) => sum + 1 + items(one), 0);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce<number>((sum, one) => sum + items(one), 0);
}

test('damaged bytes give frames or are refused', () => {
  fc.assert(
    fc.property(frames, fc.array(mutation, { minLength: 1, maxLength: 4 }), (list, steps) => {
      decodesOrRefuses(steps.reduce((bytes, step) => step(bytes), encode(list)));
    }),
    { numRuns: 10_000 },
  );
});

test('each truncation is refused, or lacks its number', () => {
  fc.assert(
    fc.property(frames, number, (list, sequence) => {
      const whole = encode(list, 0, sequence);
      for (let end = 0; end < whole.length; end += 1) {
        const cut = whole.subarray(0, end);
        decodesOrRefuses(cut);
        try {
          deepStrictEqual(decodeEnvelope(cut).sequence, 0);
        } catch (error) {
          ok(error instanceof ProtocolError, String(error));
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('bytes of chance too', () => {
  const any = fc.uint8Array({ maxLength: 60 });
  // Most begin as an envelope does.
  const likely = any.map((bytes) => Buffer.concat([Buffer.of(0x0a, bytes.length), bytes]));
  fc.assert(fc.property(fc.oneof(any, likely), decodesOrRefuses), { numRuns: 20_000 });
});

const roundTrip = (tag: string) => {
  const [read] = decodeEnvelope(encode([{ call: 1, task: { tag } }])).frames;
  return read?.body === 'task' ? read.task.tag : undefined;
};

// pbf 5.1.2 writes them as characters of another plane.
test('characters of plane 2, as in some Japanese names', () => {
  deepStrictEqual(roundTrip('\u{20BB7}'), '\u{20BB7}');
});

// pbf 5.1.2 takes it from texts of 12 bytes and more.
test('a byte order mark', () => {
  deepStrictEqual(roundTrip('\uFEFF a text with a mark'), '\uFEFF a text with a mark');
});

test('a chunk written by hand is the chunk that the generated code reads', () => {
  const chunk = fc.record(
    {
      transfer: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      data: fc.uint8Array({ minLength: 1, maxLength: 40_000 }),
      total: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      lengths: fc.array(fc.nat(), { minLength: 1, maxLength: 2_000 }),
    },
    { requiredKeys: ['transfer', 'data'] },
  );
  fc.assert(
    fc.property(chunk, number, fc.integer({ min: 0, max: 50_000 }), (sent, number, room) => {
      const packet = encodeChunk(sent, number, new Uint8Array(room));
      const { frames, sequence } = decodeEnvelope(packet);
      const [frame, ...more] = frames;
      deepStrictEqual(sequence, number);
      const most = sent.data.length + 5 * (sent.lengths?.length ?? 0) + CHUNK_OVERHEAD_BYTES;
      ok(packet.length <= most);
      ok(frame?.body === 'chunk' && frame.call === 0 && more.length === 0);
      const { transfer, data, total, abandoned, lengths } = frame.chunk;
      deepStrictEqual(lengths, sent.lengths ?? []);
      deepStrictEqual([transfer, total, abandoned], [sent.transfer, sent.total ?? 0, false]);
      ok(Buffer.compare(data as Uint8Array, sent.data) === 0);
    }),
  );
});
