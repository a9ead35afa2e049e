import { currentTask, routine } from '../../../src/index.ts';

/** A class that does not travel. */
export class Secret {
  readonly value = 1;
}

export const echo = routine(async (value: unknown) => value);

/** What the worker saw, in words. */
export const describe = routine((value: unknown) => {
  return `${Object.prototype.toString.call(value)} ${String(value)}`;
});

export const plus = routine((x: number, y: number) => x + y);

export const nothing = routine(async () => {});

export const countArgs = routine((...args: unknown[]) => args.length);

export const sum = routine((...args: number[]) => args.reduce((a, b) => a + b, 0));

export const first = routine(async <T>(list: readonly T[]): Promise<T | undefined> => list[0]);

export const bytes = routine((length: number) => new Uint8Array(length).fill(7));

export const byteLength = routine((data: Uint8Array) => data.length);

export const thenable = routine(() => ({
  // biome-ignore lint/suspicious/noThenProperty: what is tested
  then: (resolve: (value: string) => void) => resolve('awaited'),
}));

export const withFunction = routine(async () => ({ list: [1, { cb: () => 1 }] }));
export const withSymbol = routine(async () => Symbol('here'));
export const withPromise = routine(async () => ({ later: Promise.resolve(1) }));
export const withInstance = routine(async () => new Map([['key', new Secret()]]));

/** What `this` is in its body. */
export const self = routine(function (this: unknown) {
  return typeof this;
} as () => string);

export const selfSteps = routine(async function* (this: unknown) {
  yield typeof this;
} as () => AsyncGenerator<string, void, unknown>);

export const tag = routine(() => currentTask()?.tag);

/** Its own tag, and that of a nested call. */
export const tags = routine(async () => [currentTask()?.tag, await tag()]);
