import { routine } from '../../../src/index.ts';

export const quintuple = routine((x: number) => 5 * x);
