import { routine } from '../../../src/index.ts';

/** Of a module that no worker has loaded, nor has any routine that it names. */
export const subtract = routine(async (x: number, y: number) => x - y);

export const subtractMore = routine(async (x: number, y: number) => x - 2 * y);
