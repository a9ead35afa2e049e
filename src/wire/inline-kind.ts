/**
 * Functions by value, as values: what `routine.inline` made. On the wire:
 * `[name, source, generator, attempts, captures]`, the captures being a map. Reading one runs nothing of it.
 */
import { INLINE } from './cost.ts';
import { kind, type ValueSource } from './kinds.ts';
import { damaged } from './reader.ts';
import { within } from './refusal.ts';
import { TAG_INLINE } from './tags.ts';
import { MAJOR } from './writer.ts';

export interface InlineParts {
  readonly name: string;
  readonly source: string;
  readonly generator: boolean;
  readonly attempts: number;
  /** The values of what it captures, by name: as they are now. */
  readonly captures: () => object;
}

// Two copies of the package in one process must see the same ones.
const key = Symbol.for('skein.inline');
const holder = globalThis as { [key]?: WeakMap<object, InlineParts> };
holder[key] ??= new WeakMap();
const known = holder[key];

let make: ((parts: InlineParts) => object) | undefined;

/** Lets a function by value travel. */
export function registerInline(routine: object, parts: InlineParts): void {
  known.set(routine, parts);
}

export function isInlineRoutine(value: object): boolean {
  return known.has(value);
}

/** Says how one that arrives is made. Its captures are not read yet, which may refer to it. */
export function acceptInline(maker: (parts: InlineParts) => object): void {
  make = maker;
}

export const inlineKind = kind<object>({
  prototypes: [],
  cost: INLINE,
  matches: isInlineRoutine,
  write(sink, value) {
    const { name, source, generator, attempts, captures } = known.get(value) as InlineParts;
    sink.tag(TAG_INLINE);
    sink.head(MAJOR.array, 5);
    sink.text(name);
    sink.text(source);
    sink.write(generator);
    sink.number(attempts);
    try {
      sink.properties(captures());
    } catch (error) {
      throw within(error, '.captures');
    }
  },
  read: { [TAG_INLINE]: readInline },
});

function readInline(source: ValueSource, claim: (value: object) => void): unknown {
  if (source.count(MAJOR.array) !== 5) throw damaged('a function by value without its five parts');
  const name = source.text();
  const text = source.text();
  const generator = source.read();
  const attempts = source.read();
  if (typeof generator !== 'boolean') throw damaged('a function by value of no kind');
  if (!Number.isSafeInteger(attempts) || (attempts as number) < 1) {
    throw damaged('a function by value with a wrong number of attempts');
  }
  if (make === undefined) throw damaged('functions by value are not known here');
  const captures = {};
  const parts = { name, source: text, generator, attempts: attempts as number };
  const routine = make({ ...parts, captures: () => captures });
  claim(routine);
  source.properties(captures);
  return routine;
}
