import { serializable } from '../../../src/index.ts';

@serializable
export class Stamp {
  readonly when: string;
  constructor(when: string) {
    this.when = when;
  }
  toString(): string {
    return `stamped ${this.when}`;
  }
}
