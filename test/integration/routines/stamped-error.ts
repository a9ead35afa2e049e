import { registerClass } from '../../../src/index.ts';

export class StampedError extends Error {
  readonly stamped = true;
}
registerClass(StampedError);
