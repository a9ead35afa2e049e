/** Memory for bytes that are soon forgotten, such as those of Contexts. */

const SLAB_BYTES = 1 << 16;
const MAX_BYTES = SLAB_BYTES / 8;

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let used = 0;

/**
 * As `Buffer.allocUnsafe`, with less to collect: that has a memory of its own for some six Contexts of ten
 * variables. What is kept keeps 64 KiB.
 */
export function briefBuffer(size: number): Buffer {
  if (size > MAX_BYTES) return Buffer.allocUnsafe(size);
  if (used + size > SLAB_BYTES) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    used = 0;
  }
  used += size;
  return slab.subarray(used - size, used);
}
