/**
 * Kinds: objects that travel as more than a plain object or an array. A kind says how it is
 * recognised, written and read; the encoder and the decoder find it in a table.
 */
import type { Name, NamedKind } from './names.ts';

/** What a kind writes to: one tag first, then one item. */
export interface ValueSink {
  /** Whether errors take their stack along. */
  readonly stacks: boolean;
  /** Errors that are being written, outermost first. */
  readonly openErrors: object[];
  head(major: number, n: number): void;
  tag(tag: number): void;
  text(value: string): void;
  /** What something is known by that travels by name. */
  name(name: Name): void;
  number(value: number): void;
  /** A byte string, or the number of the attachment that it becomes. */
  blob(bytes: Uint8Array): void;
  /** Any value, with all checks. */
  write(value: unknown): void;
  /** As `write`; but a value that can't travel is replaced by a note that says why. */
  writeOrNote(value: unknown): void;
  /** A list whose items are written by `item`; the list itself may be shared like any object. */
  list(values: readonly unknown[], item: (value: unknown) => void): void;
  /** A map of all own enumerable properties. */
  properties(value: object): void;
}

/** What a kind reads from; the tag was read already. */
export interface ValueSource {
  /** Reads the head of an array or a map. */
  count(major: number): number;
  head(major: number): number;
  text(): string;
  /** Reads a name. Whether there is something of this name, is not checked. */
  name(kind: NamedKind): Name;
  /** Reads a byte string or an attachment. */
  blob(): OwnBytes;
  /** Reads any value. */
  read(): unknown;
  /** Reads a map of properties into `target`. */
  properties(target: object): void;
}

/** Bytes of their own buffer. */
export type OwnBytes = Uint8Array<ArrayBuffer>;

/**
 * Reads a value. One that has other values inside hands itself to `claim` before it reads them, so
 * that they can refer to it.
 */
export type ReadKind = (source: ValueSource, claim: (value: object) => void) => object;

/** A kind, as the table holds it. */
export interface Kind {
  /** Objects with exactly one of these prototypes are of this kind. */
  readonly prototypes: readonly (object | null)[];
  /** Asked when no kind has the prototype. */
  readonly matches?: (value: object) => boolean;
  readonly write: (sink: ValueSink, value: object) => void;
  readonly read: ReadonlyMap<number, ReadKind>;
}

/** Makes a kind whose `write` knows the type of its values. */
export function kind<T extends object>(definition: {
  prototypes: readonly (T | null)[];
  matches?: (value: object) => boolean;
  write: (sink: ValueSink, value: T) => void;
  read: Readonly<Record<number, ReadKind>>;
}): Kind {
  const read = new Map(Object.entries(definition.read).map(([tag, fn]) => [Number(tag), fn]));
  return { ...definition, read, write: definition.write as Kind['write'] };
}

export class KindTable {
  readonly #byPrototype = new Map<object | null, Kind>();
  readonly #byTag = new Map<number, ReadKind>();
  readonly #matching: Kind[] = [];

  constructor(kinds: readonly Kind[]) {
    for (const kind of kinds) {
      for (const prototype of kind.prototypes) this.#byPrototype.set(prototype, kind);
      for (const [tag, read] of kind.read) this.#byTag.set(tag, read);
      if (kind.matches) this.#matching.push(kind);
    }
  }

  find(value: object, prototype: object | null): Kind | undefined {
    return this.#byPrototype.get(prototype) ?? this.#matching.find((kind) => kind.matches?.(value));
  }

  reader(tag: number): ReadKind | undefined {
    return this.#byTag.get(tag);
  }
}
