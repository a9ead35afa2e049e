/** Byte arrays: ArrayBuffer and its views. Large ones leave the value and travel beside it. */
import { types } from 'node:util';
import { type Kind, kind, type OwnBytes, type ValueSource } from './kinds.ts';
import { damaged } from './reader.ts';
import { Refusal } from './refusal.ts';
import { TAG_ARRAY_BUFFER, TAG_BUFFER, TAG_DATA_VIEW } from './tags.ts';
import { refuse, refuseProperties } from './unsupported.ts';

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

/** A bare byte string; see the decoder. */
const uint8Array = kind<Uint8Array>({
  prototypes: [Uint8Array.prototype],
  write: (sink, value) => sink.blob(bytesOf(value)),
  read: {},
});

const buffer = kind<Buffer>({
  prototypes: [Buffer.prototype],
  write(sink, value) {
    sink.tag(TAG_BUFFER);
    sink.blob(bytesOf(value));
  },
  read: {
    [TAG_BUFFER](source) {
      const bytes = source.blob();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
  },
});

const arrayBuffer = kind<ArrayBuffer>({
  prototypes: [ArrayBuffer.prototype],
  write(sink, value) {
    refuseProperties(value, 'an ArrayBuffer');
    sink.tag(TAG_ARRAY_BUFFER);
    sink.blob(bytesOfBuffer(value, 0, value.byteLength));
  },
  read: { [TAG_ARRAY_BUFFER]: (source) => wholeBuffer(source.blob()) },
});

const dataView = kind<DataView>({
  prototypes: [DataView.prototype],
  write(sink, value) {
    refuseProperties(value, 'a DataView');
    sink.tag(TAG_DATA_VIEW);
    sink.blob(bytesOf(value));
  },
  read: {
    [TAG_DATA_VIEW](source) {
      const bytes = source.blob();
      return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
  },
});

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
  return kind<ArrayBufferView>({
    prototypes: [View.prototype],
    write(sink, value) {
      sink.tag(tag);
      sink.blob(bytesOf(value));
    },
    read: { [tag]: (source) => readView(source, View, size) },
  });
}

function readView(source: ValueSource, View: ViewClass, size: number): ArrayBufferView {
  const bytes = source.blob();
  if (bytes.byteLength % size !== 0) throw damaged('half an element of a typed array');
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new View(buffer, byteOffset, bytes.byteLength / size);
}

/** The bytes as a buffer of their own; they may be an attachment inside a larger one. */
function wholeBuffer(bytes: OwnBytes): ArrayBuffer {
  const { buffer } = bytes;
  return buffer.byteLength === bytes.byteLength ? buffer : bytes.slice().buffer;
}

function bytesOf(value: ArrayBufferView): Uint8Array {
  return bytesOfBuffer(value.buffer, value.byteOffset, value.byteLength);
}

function bytesOfBuffer(buffer: ArrayBufferLike, offset: number, length: number): Uint8Array {
  if (!(buffer instanceof ArrayBuffer || types.isArrayBuffer(buffer))) refuse(buffer);
  if ((buffer as { resizable?: boolean }).resizable) {
    throw new Refusal('a resizable ArrayBuffer', 'pass a copy, `buffer.slice()`');
  }
  if (length === 0 && isDetached(buffer)) {
    throw new Refusal('a detached ArrayBuffer', 'its bytes were transferred elsewhere');
  }
  return new Uint8Array(buffer, offset, length);
}

function isDetached(buffer: ArrayBuffer): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}
