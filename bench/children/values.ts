/** Encodes and decodes arguments of calls. Argument: whose codec. */
import { Encoder } from 'cbor-x';
import { serve } from '../ipc.ts';

interface Codec {
  encode(args: readonly unknown[]): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

export interface Times {
  /** Nanoseconds for each time. */
  readonly encode: number;
  readonly decode: number;
}

export type Values = {
  time(value: keyof typeof values, ms: number): Times;
};

function record(id: number) {
  return {
    id,
    name: `user number ${id}`,
    email: `u${id}@example.com`,
    active: id % 2 === 0,
    score: id * 1.5,
  };
}

/** Arguments of a call. */
export const values = {
  '[1, 2]': [1, 2],
  'a small object': [{ id: 7, name: 'Ada', tags: ['a', 'b'], active: true, score: 1.5 }],
  'a string': ['hello, world of values'],
  'ten mixed arguments': [
    ...[1, 'two', 3.5, null, true, undefined, [1, 2, 3], { x: 1, y: 2 }],
    ...['a longer string with some text', -5],
  ],
  '100 records': [Array.from({ length: 100 }, (_, i) => record(i))],
} as const;

/** The codec is no part of the public face. */
async function skein(): Promise<Codec> {
  const path = new URL('../../../dist/wire/value.js', import.meta.url).href;
  const { encodeArgs, decodeValue } = (await import(path)) as {
    encodeArgs(args: readonly unknown[]): Uint8Array;
    decodeValue(bytes: Uint8Array): unknown;
  };
  return { encode: encodeArgs, decode: (bytes) => decodeValue(bytes) };
}

async function codecOf(name: string): Promise<Codec> {
  if (name === 'skein') return skein();
  return name === 'plain' ? new Encoder({ useRecords: false }) : new Encoder();
}

/** Nanoseconds of the processor that `run` takes, over at least `ms`. What else the machine does counts less. */
function timed(run: () => unknown, ms: number): number {
  const started = process.cpuUsage();
  let times = 0;
  let elapsed = 0;
  while (elapsed < ms * 1e3) {
    for (let i = 0; i < 50; i++) run();
    times += 50;
    const { user, system } = process.cpuUsage(started);
    elapsed = user + system;
  }
  return (elapsed * 1e3) / times;
}

serve(async ([name]): Promise<Values> => {
  const codec = await codecOf(name!);
  return {
    time(value, ms) {
      const args = values[value];
      // Encoded values are views on larger memory, and so are those that arrive.
      const bytes = codec.encode(args).slice();
      return {
        encode: timed(() => codec.encode(args), ms),
        decode: timed(() => codec.decode(bytes), ms),
      };
    },
  };
});
