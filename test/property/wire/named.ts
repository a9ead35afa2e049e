/** What travels by name, and instances of classes that do. */
import fc from 'fast-check';
import { registerClass, routine } from '../../../src/index.ts';
import { fromEntries } from './properties.ts';

/** Travels by its properties. */
export class Bag {
  get constant(): number {
    return 1;
  }
}
registerClass(Bag);

/** Travels by what `encode` gives, and is made by its constructor. */
export class Wrapped {
  readonly inner: unknown;
  constructor(inner: unknown) {
    this.inner = inner;
  }
}
registerClass(Wrapped, {
  encode: ({ inner }) => inner,
  decode: (inner: unknown) => new Wrapped(inner),
});

/** An error that travels by its properties, of which one stays behind. */
export class Fault extends RangeError {
  override name = 'Fault';
  readonly code: unknown;
  constructor(message: string, code: unknown) {
    super(message);
    this.code = code;
  }
}
registerClass(Fault);

export const named = routine(() => 'named');

/** Routines and classes. */
export const reference: fc.Arbitrary<unknown> = fc.constantFrom<unknown>(
  named,
  Bag,
  Wrapped,
  Fault,
);

/** An instance of one of the classes, around other values. */
export function instanceAround(
  text: fc.Arbitrary<string>,
  inner: fc.Arbitrary<unknown>,
): fc.Arbitrary<object> {
  return fc.oneof(
    fc
      .array(fc.tuple(text, inner), { maxLength: 4 })
      .map((entries) => fromEntries(new Bag(), entries)),
    inner.map((value) => new Wrapped(value)),
    fc.tuple(text, inner).map(([message, code]) => new Fault(message, code)),
  );
}
