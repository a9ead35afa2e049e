import { routine } from '../../../src/index.ts';

export const quadruple = routine((x: number) => 4 * x);
