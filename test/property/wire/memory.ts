/** Views that may show the same memory, with and without their buffers. */
import fc from 'fast-check';

type ViewClass = {
  readonly BYTES_PER_ELEMENT?: number;
  new (buffer: ArrayBuffer, offset: number, length: number): ArrayBufferView;
};

const classes: readonly ViewClass[] = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Uint16Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  DataView as ViewClass,
];

/** A byte that no view shows. */
export const UNSEEN = 0xaa;

const size = 40;

const view = fc.record({
  kind: fc.nat(classes.length),
  buffer: fc.nat(1),
  start: fc.nat(size),
  length: fc.nat(size),
});

/** Buffers, and views on them, whose unseen bytes are `UNSEEN` and all others something else. */
export const memory: fc.Arbitrary<(ArrayBuffer | ArrayBufferView)[]> = fc
  .record({
    views: fc.array(view, { minLength: 1, maxLength: 6 }),
    /** Where the first buffer itself stands among its views. */
    whole: fc.option(fc.nat(6)),
  })
  .map(({ views, whole }) => {
    const buffers = [new ArrayBuffer(size), new ArrayBuffer(size)];
    for (const buffer of buffers) new Uint8Array(buffer).fill(UNSEEN);
    const items: (ArrayBuffer | ArrayBufferView)[] = views.map(({ kind, buffer, start, length }) =>
      makeView(kind, buffers[buffer]!, start, length),
    );
    if (whole !== null) items.splice(whole, 0, buffers[0]!);
    for (const item of items) bytesOf(item).fill(0x11);
    return items;
  });

/** What an item shows, as bytes. */
export function bytesOf(item: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (!ArrayBuffer.isView(item)) return new Uint8Array(item);
  return new Uint8Array(item.buffer, item.byteOffset, item.byteLength);
}

function makeView(
  kind: number,
  buffer: ArrayBuffer,
  start: number,
  length: number,
): ArrayBufferView {
  const View = classes[kind];
  const unit = View?.BYTES_PER_ELEMENT ?? 1;
  const offset = start - (start % unit);
  const count = Math.min(length, Math.floor((size - offset) / unit));
  return View === undefined ? Buffer.from(buffer, offset, count) : new View(buffer, offset, count);
}
