import { routine } from '../../../src/index.ts';

/** A routine that says that it is of this module. */
export const routineOf = routine((module: string) =>
  routine(async () => 'ran', { module, name: 'foreign' }),
);
