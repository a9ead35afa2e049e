/** Byte arrays: ArrayBuffer and its views. Large ones leave the value and travel beside it. */
import { types } from 'node:util';
import { BUFFER, bytesCost } from './cost.ts';
import {
  bufferLength,
  dataViewBuffer,
  dataViewLength,
  dataViewOffset,
  type TypedArray,
  viewBuffer,
  viewLength,
  viewOffset,
} from './intrinsics.ts';
import { type Kind, kind, type ValueSink, type ValueSource } from './kinds.ts';
import { type Span, WHOLE } from './memory.ts';
import { damaged } from './reader.ts';
import { Refusal } from './refusal.ts';
import { TAG_ARRAY_BUFFER, TAG_BUFFER, TAG_DATA_VIEW, TAG_VIEW } from './tags.ts';
import { refuse, refuseProperties } from './unsupported.ts';
import { MAJOR } from './writer.ts';

interface ViewClass {
  readonly BYTES_PER_ELEMENT: number;
  readonly prototype: ArrayBufferView;
  new (buffer: ArrayBuffer, offset: number, length: number): ArrayBufferView;
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * The tags of RFC 8746, for little-endian bytes. A big-endian machine sends under the tags for its
 * own order, four below, so that no other takes them for what they are not: they are refused there.
 */
const views: readonly (readonly [tag: number, ViewClass | undefined])[] = [
  [68, Uint8ClampedArray],
  [69, Uint16Array],
  [70, Uint32Array],
  [71, BigUint64Array],
  [72, Int8Array],
  [77, Int16Array],
  [78, Int32Array],
  [79, BigInt64Array],
  [84, (globalThis as { Float16Array?: ViewClass }).Float16Array],
  [85, Float32Array],
  [86, Float64Array],
];

/** The tag of RFC 8746. A Uint8Array of its own is a bare byte string; see the decoder. */
const UINT8_ARRAY = 64;

const uint8Array = kind<Uint8Array>({
  prototypes: [Uint8Array.prototype],
  cost: BUFFER,
  write(sink, value) {
    const span = spanOf(value, 1);
    const bytes = bytesOf(span);
    if (sink.sharedView(UINT8_ARRAY, span)) return;
    sink.charge(bytesCost(bytes.length) - bytes.length - BUFFER);
    sink.blob(bytes);
  },
  // For views of all kinds.
  read: { [TAG_VIEW]: readSharedView },
});

const buffer = kind<Buffer>({
  prototypes: [Buffer.prototype],
  cost: BUFFER,
  write: (sink, value) => writeSpan(sink, TAG_BUFFER, spanOf(value, 1)),
  read: {
    [TAG_BUFFER](source) {
      const bytes = source.blob();
      return Buffer.from(bytes.buffer);
    },
  },
});

const arrayBuffer = kind<ArrayBuffer>({
  prototypes: [ArrayBuffer.prototype],
  cost: BUFFER,
  write(sink, value) {
    refuseProperties(value, 'an ArrayBuffer');
    const span = { buffer: value, start: 0, end: bufferLength.call(value), align: WHOLE };
    const bytes = bytesOf(span);
    sink.wholeBuffer(span);
    sink.tag(TAG_ARRAY_BUFFER);
    sink.blob(bytes);
  },
  read: { [TAG_ARRAY_BUFFER]: (source) => source.blob().buffer },
});

const dataView = kind<DataView>({
  prototypes: [DataView.prototype],
  cost: BUFFER,
  write(sink, value) {
    refuseProperties(value, 'a DataView');
    const buffer = dataViewBuffer.call(value);
    const start = dataViewOffset.call(value);
    const end = start + dataViewLength.call(value);
    writeSpan(sink, TAG_DATA_VIEW, { buffer, start, end, align: 1 });
  },
  read: {
    [TAG_DATA_VIEW](source) {
      const bytes = source.blob();
      return new DataView(bytes.buffer);
    },
  },
});

type MakeView = (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView;

/** What makes a view on a given buffer, by type. */
const makers = new Map<number, MakeView>([
  [UINT8_ARRAY, (buffer, offset, length) => new Uint8Array(buffer, offset, length)],
  [TAG_BUFFER, (buffer, offset, length) => Buffer.from(buffer, offset, length)],
  [TAG_DATA_VIEW, (buffer, offset, length) => new DataView(buffer, offset, length)],
]);

/** All kinds of this file. */
export const byteKinds: readonly Kind[] = [
  uint8Array,
  buffer,
  arrayBuffer,
  dataView,
  ...views.flatMap(([tag, View]) => (View === undefined ? [] : [typedArray(tag, View)])),
];

function typedArray(littleEndianTag: number, View: ViewClass): Kind {
  const size = View.BYTES_PER_ELEMENT;
  const tag = littleEndian || size === 1 ? littleEndianTag : littleEndianTag - 4;
  makers.set(tag, (buffer, offset, length) => new View(buffer, offset, length));
  return kind<TypedArray>({
    prototypes: [View.prototype],
    cost: BUFFER,
    write: (sink, value) => writeSpan(sink, tag, spanOf(value, size)),
    read: { [tag]: (source) => readView(source, View, size) },
  });
}

function writeSpan(sink: ValueSink, tag: number, span: Span): void {
  const bytes = bytesOf(span);
  if (sink.sharedView(tag, span)) return;
  sink.tag(tag);
  sink.blob(bytes);
}

function readSharedView(source: ValueSource): ArrayBufferView {
  if (source.count(MAJOR.array) !== 4) throw damaged('a view without its four parts');
  const make = makers.get(source.head(MAJOR.unsigned));
  const buffer = source.read();
  if (make === undefined || !(buffer instanceof ArrayBuffer)) throw damaged('a view of nothing');
  // Throws where the view would be unaligned, or go beyond the buffer.
  return make(buffer, source.head(MAJOR.unsigned), source.head(MAJOR.unsigned));
}

function readView(source: ValueSource, View: ViewClass, size: number): ArrayBufferView {
  const bytes = source.blob();
  if (bytes.byteLength % size !== 0) throw damaged('half an element of a typed array');
  return new View(bytes.buffer, 0, bytes.byteLength / size);
}

function spanOf(value: TypedArray, align: number): Span {
  const start = viewOffset.call(value);
  return { buffer: viewBuffer.call(value), start, end: start + viewLength.call(value), align };
}

function bytesOf({ buffer, start, end }: Span): Uint8Array {
  if (!(buffer instanceof ArrayBuffer || types.isArrayBuffer(buffer))) refuse(buffer);
  if ((buffer as { resizable?: boolean }).resizable) {
    throw new Refusal('a resizable ArrayBuffer', 'pass a copy, `buffer.slice()` or `view.slice()`');
  }
  if (start === end && isDetached(buffer)) {
    throw new Refusal('a detached ArrayBuffer', 'its bytes were transferred elsewhere');
  }
  return new Uint8Array(buffer, start, end - start);
}

function isDetached(buffer: ArrayBuffer): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}
