/**
 * Kinds: objects that travel as more than a plain object or an array. A kind says how it is
 * recognised, written and read; the encoder and the decoder find it in a table.
 */

import type { RegisteredClass } from './classes.ts';
import { KIND } from './cost.ts';
import { globalClass } from './globals.ts';
import type { Span } from './memory.ts';
import type { Name, NamedKind, ReadName } from './names.ts';
import { damaged } from './reader.ts';
import { prototypeHere } from './realms.ts';
import type { Refusal } from './refusal.ts';
import { TAG_OBJECT } from './tags.ts';
import { MAJOR } from './writer.ts';

/**
 * Gives what is sent for the stack of an error; undefined for nothing.
 *
 * @param stack undefined where the error has none that is a text
 * @param outermost whether the error is in no other error
 */
export type StackText = (
  stack: string | undefined,
  error: Error,
  outermost: boolean,
) => string | undefined;

/** How an error travels whose `encode` failed. */
export interface Uncoded {
  /** The class that it travels as one of. */
  readonly own: RegisteredClass | undefined;
  readonly refused: string;
}

/** What a kind writes to: one tag first, then one item. */
export interface ValueSink {
  /** Whether errors take their stack along, or what they take for it. */
  readonly stacks: boolean | StackText;
  /** Whether the value was thrown, so that something of it must arrive. */
  readonly thrown: boolean;
  /** Errors that are being written, outermost first. */
  readonly openErrors: object[];
  /**
   * Errors whose `encode` failed. Each is tried once: where errors nest, the outer ones are written anew when
   * theirs fails, and all inner ones with them.
   */
  readonly uncoded: Map<object, Uncoded>;
  /** Instances whose own `encode` gave what is being written, outermost first. */
  readonly openInstances: object[];
  head(major: number, n: number): void;
  tag(tag: number): void;
  text(value: string): void;
  /** What something is known by that travels by name. */
  name(name: Name): void;
  number(value: number): void;
  /** A byte string, or the number of the attachment that it becomes. */
  blob(bytes: Uint8Array): void;
  /** Notes that a buffer itself occurs in the value. */
  wholeBuffer(span: Span): void;
  /**
   * Writes a view as one on a buffer that others show too, and returns true, when there are others.
   *
   * @param type the tag that it has on its own
   */
  sharedView(type: number, span: Span): boolean;
  /** Any value, with all checks. */
  write(value: unknown): void;
  /** As `write`; but a value that can't travel is replaced by a note that says why. */
  writeOrNote(value: unknown): void;
  /**
   * Calls what writes a part. When that throws, the part is taken back.
   *
   * @returns why the part can't travel; undefined when it was written
   */
  attempt(write: () => void): Refusal | undefined;
  /**
   * A list whose items are written by `item`, or a note where the list itself can't travel. It may be shared
   * like any object.
   */
  listOrNote(values: readonly unknown[], item: (value: unknown) => void): void;
  /** A map of all own enumerable properties. */
  properties(value: object): void;
  /**
   * Counts memory that the value takes where it is decoded, beside the kind's own `cost` and that of the
   * values inside; the kind's reader counts no more. See `cost.ts`.
   */
  charge(bytes: number): void;
}

/** What a kind reads from; the tag was read already. */
export interface ValueSource {
  /** Whether what is not known here by its name is replaced by a note. */
  readonly lenient: boolean;
  /** Whether the value was thrown, so that something of it must arrive. */
  readonly thrown: boolean;
  /** How many errors are being read, one in the other. */
  openErrors: number;
  /** How many notes stand for something so far. */
  readonly notes: number;
  /** Counts a note that stands for something, and gives it back. */
  note(text: string): string;
  /** Reads the head of an array or a map. */
  count(major: number): number;
  head(major: number): number;
  text(): string;
  /** Reads a name. Whether there is something of this name, is not checked. */
  name(kind: NamedKind): ReadName;
  /** Reads a byte string or an attachment. */
  blob(): OwnBytes;
  /** Reads any value. */
  read(): unknown;
  /**
   * Reads a map of properties into `target`.
   *
   * @param inherits whether `target` may inherit setters, which must not run
   * @param apart whether the sender has counted each key in full, and none as a key of the objects after it;
   * see `shapes.ts`
   */
  properties(target: object, inherits?: boolean, apart?: boolean): void;
  /** Counts memory that is about to be taken, beside the kind's own `cost` and that of the values inside. */
  charge(bytes: number): void;
}

/** Bytes of their own buffer. */
export type OwnBytes = Uint8Array<ArrayBuffer>;

/**
 * Reads a value. One that has other values inside hands itself to `claim` before it reads them, so
 * that they can refer to it.
 */
export type ReadKind = (source: ValueSource, claim: (value: object) => void) => unknown;

/** Reads what follows the type's name in an item of `TAG_OBJECT`: `count` items. */
export type ReadType = (source: ValueSource, count: number) => object;

/** How values under a tag are read. */
export interface Reader {
  readonly read: ReadKind;
  /** See `Kind.cost`. */
  readonly cost: number;
}

/** A kind, as the table holds it. */
export interface Kind {
  /** Objects with exactly one of these prototypes are of this kind. */
  readonly prototypes: readonly (object | null)[];
  /**
   * Global names of classes whose instances are of this kind, e.g. `Temporal.PlainDate`. They are
   * looked up when a value may be one: the class may not exist yet, or be costly to load. The
   * `Symbol.toStringTag` of such a class is its name.
   */
  readonly lateClasses?: readonly string[];
  /** Asked when no kind has the prototype. */
  readonly matches?: (value: object) => boolean;
  /** Bytes of memory that a decoded value takes, at most. */
  readonly cost: number;
  readonly write: (sink: ValueSink, value: object) => void;
  readonly read: ReadonlyMap<number, ReadKind>;
  readonly readTypes: ReadonlyMap<string, ReadType>;
}

/** Makes a kind whose `write` knows the type of its values. */
export function kind<T extends object>(definition: {
  prototypes: readonly (T | null)[];
  lateClasses?: readonly string[];
  matches?: (value: object) => boolean;
  /** @default KIND */
  cost?: number;
  write: (sink: ValueSink, value: T) => void;
  /** By tag. */
  read?: Readonly<Record<number, ReadKind>>;
  /** By the name of the type in an item of `TAG_OBJECT`. */
  readTypes?: Readonly<Record<string, ReadType>>;
}): Kind {
  const { read = {}, readTypes = {}, cost = KIND, write, ...rest } = definition;
  return {
    ...rest,
    cost,
    write: write as Kind['write'],
    read: new Map(Object.entries(read).map(([tag, fn]) => [Number(tag), fn])),
    // Maps, not objects: the names come over the wire, and `constructor` must not find anything.
    readTypes: new Map(Object.entries(readTypes)),
  };
}

export class KindTable {
  readonly #byPrototype = new Map<object | null, Kind>();
  readonly #byLateClass = new Map<string, Kind>();
  readonly #byTag = new Map<number, Reader>();
  readonly #byType = new Map<string, { readonly read: ReadType; readonly cost: number }>();
  readonly #matching: Kind[] = [];

  constructor(kinds: readonly Kind[]) {
    for (const kind of kinds) {
      for (const prototype of kind.prototypes) this.#byPrototype.set(prototype, kind);
      for (const name of kind.lateClasses ?? []) this.#byLateClass.set(name, kind);
      const { cost } = kind;
      for (const [tag, read] of kind.read) this.#byTag.set(tag, { read, cost });
      for (const [name, read] of kind.readTypes) this.#byType.set(name, { read, cost });
      if (kind.matches) this.#matching.push(kind);
    }
    this.#byTag.set(TAG_OBJECT, { read: (source) => this.#readType(source), cost: 0 });
  }

  find(value: object, prototype: object | null): Kind | undefined {
    return (
      this.#byPrototype.get(prototype) ??
      this.#findLate(prototype) ??
      this.#matching.find((kind) => kind.matches?.(value)) ??
      this.#findForeign(value, prototype)
    );
  }

  reader(tag: number): Reader | undefined {
    return this.#byTag.get(tag);
  }

  #findLate(prototype: object | null): Kind | undefined {
    if (prototype === null) return undefined;
    // Not by reading it, which might run a getter of the program's.
    const name: unknown = Object.getOwnPropertyDescriptor(prototype, Symbol.toStringTag)?.value;
    const kind = typeof name === 'string' ? this.#byLateClass.get(name) : undefined;
    if (kind === undefined || globalClass(name as string)?.prototype !== prototype)
      return undefined;
    this.#byPrototype.set(prototype, kind);
    return kind;
  }

  #findForeign(value: object, prototype: object | null): Kind | undefined {
    const here = prototype === null ? undefined : prototypeHere(value, prototype);
    return here === undefined ? undefined : this.#byPrototype.get(here);
  }

  #readType(source: ValueSource): object {
    const count = source.count(MAJOR.array);
    const type = count === 0 ? undefined : this.#byType.get(source.text());
    if (type === undefined) throw damaged('an object of a type not known here');
    source.charge(type.cost);
    return type.read(source, count - 1);
  }
}
