/**
 * Frames and envelopes: the protocol of `proto/skein/v1/worker.proto` as values of TypeScript.
 */
import { PbfReader, PbfWriter } from 'pbf';
import { LimitExceeded, ProtocolError } from '../errors.ts';
import * as generated from './generated/worker.js';
import { Reader, Writer } from './pbf.ts';
import { SharedContexts } from './shared-contexts.ts';

export type {
  About,
  Chunk,
  Dispatch,
  Goodbye,
  GoodbyeBreach as Breach,
  Hello,
  Nack,
  Result,
  Routine,
  Task,
  Value,
} from './generated/worker.js';
export { CancelReason, GoodbyeReason, NackReason } from './generated/worker.js';

/** The version of the protocol, as Hello carries it. */
export const PROTOCOL_VERSION = 1;

/** Which of the bodies a frame has; the body stands in the field of that name. */
export type FrameBody = NonNullable<generated.Frame['body']>;

/** A frame that was received. */
export type Frame = {
  [Body in FrameBody]: { readonly call: number; readonly body: Body } & {
    readonly [Field in Body]: NonNullable<generated.Frame[Body]>;
  };
}[FrameBody];

/** A received frame with this body. */
export type FrameOf<Body extends FrameBody> = Extract<Frame, { body: Body }>;

/** A frame to be sent: one body, and only the fields that are not at their default. */
export type OutFrame = {
  [Body in FrameBody]: { readonly call: number } & {
    readonly [Field in Body]: NonNullable<generated.Init<generated.Frame>[Body]>;
  };
}[FrameBody];

/** A value to be sent, as it stands in a frame. */
export type OutValue = generated.Init<generated.Value>;

/** The end of a link, to be sent. */
export type OutGoodbye = generated.Init<generated.Goodbye> & { readonly message: string };

/** What a worker says of itself, to be sent. */
export type OutAbout = generated.Init<generated.About>;

/** An envelope that was received. */
export interface Envelope {
  readonly frames: readonly Frame[];
  /** Its number on its side of the link; 0 when it has none: then its end was cut off. */
  readonly sequence: number;
}

/** What an envelope may have. */
export interface EnvelopeLimits {
  readonly maxEnvelopeBytes: number;
  readonly maxFrameBytes: number;
  readonly maxFramesPerEnvelope: number;
}

/**
 * Reads one packet.
 *
 * @param limits Default: none
 * @throws ProtocolError when the bytes are not an envelope, or a frame in it has no body known here.
 * @throws LimitExceeded when it has more than the limits allow; nothing of it was read
 */
export function decodeEnvelope(bytes: Uint8Array, limits?: EnvelopeLimits): Envelope {
  if (limits !== undefined) checkEnvelope(bytes, limits);
  const reader = new Reader(bytes);
  let envelope: generated.Envelope;
  try {
    envelope = generated.readEnvelope(reader);
  } catch (cause) {
    throw new ProtocolError('malformed envelope', { cause });
  }
  // The generated readers don't look at the end of the buffer: a length that lies leaves them beyond it.
  if (reader.pos !== bytes.length) throw new ProtocolError('malformed envelope: a length is wrong');
  const contexts = new SharedContexts();
  for (const frame of envelope.frames) {
    if (frame.body === undefined) throw new ProtocolError('a frame without a known body');
    if (frame.task?.args?.context !== undefined) contexts.restore(frame.task, frame.task.args);
  }
  return envelope as unknown as Envelope;
}

/** Bytes of an empty frame: there are no more frames than half of the bytes. */
const LEAST_FRAME_BYTES = 2;

/** Before its frames are made, of which each takes a hundred times as much in memory as in bytes. */
function checkEnvelope(bytes: Uint8Array, limits: EnvelopeLimits): void {
  const { maxEnvelopeBytes, maxFrameBytes, maxFramesPerEnvelope } = limits;
  const { length } = bytes;
  if (length > maxEnvelopeBytes) {
    throw tooMuch('maxEnvelopeBytes', length, maxEnvelopeBytes, `an envelope of ${length} bytes`);
  }
  // Almost all are so small.
  if (length <= maxFrameBytes && length <= maxFramesPerEnvelope * LEAST_FRAME_BYTES) return;
  const reader = new PbfReader(bytes);
  let frames = 0;
  try {
    for (let field = reader.nextField(); field !== 0; field = reader.nextField()) {
      if (field !== FRAMES_FIELD) continue;
      const size = reader.readVarint();
      reader.pos += size;
      frames += 1;
      if (size > maxFrameBytes) {
        throw tooMuch('maxFrameBytes', size, maxFrameBytes, `a frame of ${size} bytes`);
      }
      if (frames > maxFramesPerEnvelope) {
        const what = `an envelope of more than ${maxFramesPerEnvelope} frames`;
        throw tooMuch('maxFramesPerEnvelope', frames, maxFramesPerEnvelope, what);
      }
    }
  } catch (error) {
    if (error instanceof LimitExceeded) throw error;
    throw new ProtocolError('malformed envelope', { cause: error });
  }
}

function tooMuch(limit: string, value: number, max: number, what: string): LimitExceeded {
  return new LimitExceeded(`${what} came, and the limit is ${max} (${limit})`, {
    limit,
    value,
    max,
  });
}

// Where what is written by hand stands in its message; a test holds this equal to the generated code.
const FRAMES_FIELD = 1;
const SEQUENCE_FIELD = 2;

/** Collects frames to one envelope. */
export class EnvelopeWriter {
  readonly #pbf: PbfWriter;
  #frames = 0;
  #contexts: SharedContexts | undefined;

  /** @param room a guess of the size, in bytes; it grows when needed. */
  constructor(room = 256) {
    this.#pbf = new Writer(Buffer.allocUnsafe(room));
  }

  get bytes(): number {
    return this.#pbf.pos;
  }

  get frames(): number {
    return this.#frames;
  }

  add(frame: OutFrame): void {
    this.#frames += 1;
    const { task } = frame as generated.Init<generated.Frame>;
    const context = task?.args?.context;
    const written = context === undefined ? frame : this.#share(frame.call, task, context);
    this.#pbf.writeMessage(
      FRAMES_FIELD,
      generated.writeFrame,
      written as generated.Init<generated.Frame>,
    );
  }

  /** The frame of a task without what its Context has in common with that of the last one. */
  #share(call: number, task: generated.Init<generated.Task> = {}, context: Uint8Array): OutFrame {
    this.#contexts ??= new SharedContexts();
    const shared = this.#contexts.share(context);
    const { routine, args, sequence, generator, caller, timeout_ms, tag, attempt, dispatch } = task;
    const { item, attachments, transfer, lengths, context_last } = args as OutValue;
    const rest = context.subarray(shared);
    const value = { item, attachments, transfer, lengths, context: rest, context_last };
    // Field by field: a spread that adds keys takes Node 20 two microseconds.
    return {
      call,
      task: {
        routine,
        args: value,
        sequence,
        generator,
        caller,
        timeout_ms,
        tag,
        attempt,
        dispatch,
        context_shared: shared,
      },
    };
  }

  /** The packet. The writer must not be used afterwards. */
  finish(sequence: number): Uint8Array {
    this.#pbf.writeVarintField(SEQUENCE_FIELD, sequence);
    return this.#pbf.finish();
  }
}

/** What an envelope with one chunk takes beside the chunk's data and lengths, at most. */
export const CHUNK_OVERHEAD_BYTES = 64;

const CHUNK_FIELD = 6;
const TRANSFER_FIELD = 1;
const DATA_FIELD = 2;
const TOTAL_FIELD = 3;
const LENGTHS_FIELD = 5;
const LENGTH_DELIMITED = 2;

/** A piece of a large value. */
export interface OutChunk {
  readonly transfer: number;
  readonly data: Uint8Array;
  /** In the first one: the bytes of the whole. */
  readonly total?: number;
  /** In the first one, if at all: the bytes of each part. */
  readonly lengths?: readonly number[];
}

/**
 * One chunk in an envelope of its own, written into `room` or, when that is too small, beside it. The
 * generated writer would move the data once for each message around it.
 */
export function encodeChunk(chunk: OutChunk, sequence: number, room: Uint8Array): Uint8Array {
  const { transfer, data, total, lengths } = chunk;
  const body = new PbfWriter(Buffer.allocUnsafe(CHUNK_OVERHEAD_BYTES / 2));
  body.writeVarintField(TRANSFER_FIELD, transfer);
  if (total !== undefined) body.writeVarintField(TOTAL_FIELD, total);
  if (lengths !== undefined) body.writePackedVarint(LENGTHS_FIELD, lengths as number[]);
  body.writeTag(DATA_FIELD, LENGTH_DELIMITED);
  body.writeVarint(data.length);
  const fields = body.finish();
  const length = fields.length + data.length;

  const writer = new PbfWriter(room);
  writer.writeTag(FRAMES_FIELD, LENGTH_DELIMITED);
  writer.writeVarint(1 + varintBytes(length) + length);
  writer.writeTag(CHUNK_FIELD, LENGTH_DELIMITED);
  writer.writeVarint(length);
  writer.realloc(length);
  writer.buf.set(fields, writer.pos);
  writer.buf.set(data, writer.pos + fields.length);
  writer.pos += length;
  writer.writeVarintField(SEQUENCE_FIELD, sequence);
  return writer.finish();
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}
