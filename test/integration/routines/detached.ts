import { routine } from '../../../src/index.ts';

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): void;
}
// The types of Node.js have none of it.
const { Memory } = (globalThis as Record<string, unknown>).WebAssembly as {
  Memory: new (size: { initial: number; maximum: number }) => WasmMemory;
};

export const size = routine((bytes: Uint8Array) => bytes.length);

export const pid = routine(() => process.pid);

/** Gives bytes that go elsewhere before they are sent. */
export const giveMoved = routine((bytes: number) => {
  const value = new Uint8Array(bytes);
  setTimeout(() => structuredClone(value, { transfer: [value.buffer] }), 0);
  return value;
});

/** Gives bytes of WebAssembly memory, which grows before they are sent. */
export const giveGrown = routine((pages: number) => {
  const memory = new Memory({ initial: pages, maximum: pages + 1 });
  setTimeout(() => memory.grow(1), 0);
  return new Uint8Array(memory.buffer);
});

export const yieldMoved = routine(function* (bytes: number) {
  const value = new Uint8Array(bytes);
  setTimeout(() => structuredClone(value, { transfer: [value.buffer] }), 0);
  yield value;
});

export const takeSteps = routine(function* () {
  for (;;) yield ((yield) as Uint8Array | undefined)?.length;
});

/** Runs until it is told. */
export const neighbour = routine(async function* () {
  yield 'began';
  yield 'went on';
});
