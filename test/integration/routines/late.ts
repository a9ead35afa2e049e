import { routine } from '../../../src/index.ts';

export const double = routine((x: number) => 2 * x);
export const triple = routine((x: number) => 3 * x);
