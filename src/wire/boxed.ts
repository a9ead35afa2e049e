/** Boxed primitives, as `new Number(1)` makes them. */

import { BOXED } from './cost.ts';
import { type Kind, kind } from './kinds.ts';
import { damaged } from './reader.ts';
import { TAG_OBJECT } from './tags.ts';
import { refuseProperties } from './unsupported.ts';
import { MAJOR } from './writer.ts';

/** All kinds of this file. */
export const boxedKinds: readonly Kind[] = [
  boxed('Number', Number.prototype),
  boxed('String', String.prototype),
  boxed('Boolean', Boolean.prototype),
  boxed('BigInt', BigInt.prototype),
];

function boxed(name: string, prototype: { valueOf(): unknown }): Kind {
  return kind<object>({
    prototypes: [prototype],
    cost: BOXED,
    write(sink, value) {
      // Throws when the value only has the prototype.
      const primitive: unknown = prototype.valueOf.call(value);
      // The characters of a String are properties, too.
      const characters = typeof primitive === 'string' ? primitive.length : 0;
      refuseProperties(value, `a boxed ${typeof primitive}`, characters);
      sink.tag(TAG_OBJECT);
      sink.head(MAJOR.array, 2);
      sink.text(name);
      sink.write(primitive);
    },
    readTypes: {
      [name](source, count) {
        const primitive = count === 1 ? source.read() : undefined;
        if (typeof primitive !== name.toLowerCase()) throw damaged(`no ${name} in its box`);
        return Object(primitive) as object;
      },
    },
  });
}
