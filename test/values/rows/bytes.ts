import { strictEqual } from 'node:assert/strict';
import type { Group } from '../row.ts';
import { same } from '../same.ts';

const KIB = 1024;

const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + 3) % 256);

const views = [
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
] as const;

/** No array holds the memory of others. */
function checkBuffers(value: unknown): void {
  if (ArrayBuffer.isView(value)) strictEqual(value.buffer.byteLength, value.byteLength);
  else if (typeof value === 'object' && value !== null) Object.values(value).forEach(checkBuffers);
}

export const bytes: Group = {
  title: 'Bytes',
  file: 'bytes.ts',
  rows: [
    {
      type: '`Uint8Array`',
      wire: 'byte string',
      examples: {
        empty: () => new Uint8Array(),
        'a few': () => new Uint8Array([0, 1, 127, 128, 255]),
        'a part of a buffer': () => new Uint8Array(pattern(100).buffer, 10, 20),
      },
    },
    {
      type: 'other typed arrays',
      wire: 'the tags of RFC 8746 for little-endian (68 to 72, 77 to 79, 85, 86)',
      examples: {
        ...Object.fromEntries(
          views.map((View) => [View.name, () => View.from([0, 1, 127, 255, -3.5])]),
        ),
        'Float64Array with NaN and -0': () => Float64Array.of(Number.NaN, -0, Infinity, 5e-324),
        BigInt64Array: () => BigInt64Array.of(-(2n ** 63n), -1n, 2n ** 63n - 1n),
        BigUint64Array: () => BigUint64Array.of(0n, 2n ** 64n - 1n),
        empty: () => [new Float64Array(), new Int16Array(), new BigInt64Array()],
      },
    },
    {
      type: '`Float16Array`',
      arrives: 'equal, where both sides have it (Node 24)',
      wire: 'tag 84',
      needs: 'Float16Array',
      examples: {
        'a few': () => {
          const { Float16Array } = globalThis as unknown as { Float16Array: typeof Float32Array };
          return Float16Array.of(1.5, -0, Number.NaN);
        },
      },
    },
    {
      type: '`ArrayBuffer`',
      wire: 'tag 60166 over a byte string',
      examples: {
        empty: () => new ArrayBuffer(0),
        'a few': () => pattern(10).buffer,
      },
    },
    {
      type: '`Buffer`',
      wire: 'tag 60167 over a byte string',
      examples: {
        empty: () => Buffer.alloc(0),
        text: () => Buffer.from('aä€😀'),
      },
    },
    {
      type: '`DataView`',
      wire: 'tag 60168 over a byte string',
      examples: {
        empty: () => new DataView(new ArrayBuffer(0)),
        'a part of a buffer': () => new DataView(pattern(10).buffer, 3, 5),
      },
    },
    {
      type: 'views that overlap, and views of a buffer beside it',
      arrives: 'equal, on one buffer: a write through one shows in the others',
      wire: 'tag 60174, see [below](#shared-memory)',
      examples: {
        'two views': () => {
          const { buffer } = pattern(40);
          return [new Uint8Array(buffer, 1, 30), new Float64Array(buffer, 8, 2)];
        },
        'a view and its buffer': () => {
          const view = pattern(10).subarray(2, 4);
          return [view, view.buffer];
        },
        'large ones': () => {
          const { buffer } = pattern(100_000);
          return [new DataView(buffer, 3), Buffer.from(buffer, 5, 70_000)];
        },
      },
      check(arrived, sent) {
        same(arrived, sent);
        const [view, other] = arrived as [ArrayBufferView, ArrayBufferView | ArrayBuffer];
        strictEqual(ArrayBuffer.isView(other) ? other.buffer : other, view.buffer);
      },
    },
    {
      type: 'large ones of every kind',
      arrives: 'equal, each with a buffer of its own',
      wire: 'from 64 KiB on, tag 60162 over n replaces the byte string, which travels as the n-th attachment',
      examples: {
        'one byte less': () => pattern(64 * KIB - 1),
        'just large': () => pattern(64 * KIB),
        Buffer: () => Buffer.from(pattern(100_001)),
        ArrayBuffer: () => pattern(100_001).buffer,
        DataView: () => new DataView(pattern(100_001).buffer),
        'Float64Array and others beside it': () => [
          pattern(64 * KIB),
          { numbers: new Float64Array(20_000).fill(0.5) },
          new BigInt64Array(10_000).fill(-6n),
          new Int16Array(40_000).fill(-3),
        ],
        'the same one twice': () => {
          const one = pattern(70_000);
          return [one, { again: one }];
        },
        '1 MiB': () => pattern(KIB * KIB),
      },
      check(arrived, sent) {
        same(arrived, sent);
        checkBuffers(arrived);
      },
    },
  ],
};
