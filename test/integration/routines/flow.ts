import { routine } from '../../../src/index.ts';

export const echo = routine((bytes: Uint8Array) => bytes);
export const next = routine((n: number) => n + 1);
export const make = routine((size: number) => new Uint8Array(size));
