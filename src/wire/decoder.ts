/**
 * Reads a value. Bytes that no encoder wrote end in a `SerializationError`; they never reach a
 * prototype, nest without limit, or make the decoder allocate for more than they contain.
 */

import { LimitExceeded } from '../errors.ts';
import {
  ALLOCATED_ITEMS,
  arrayCost,
  bytesCost,
  INSIDE,
  indexCost,
  NAME,
  OBJECT,
  propertiesCost,
  propertyCost,
  SHARED,
  stringCost,
  TRANSITION,
} from './cost.ts';
import type { KindTable, OwnBytes, ValueSource } from './kinds.ts';
import { findNamed, type NamedKind, ReadName, UnknownName } from './names.ts';
import { define, isFar, makeSparse } from './properties.ts';
import { CborReader, damaged } from './reader.ts';
import { isIndexLike, SHAPED, type Shape, Shapes, unkept } from './shapes.ts';
import {
  HOLE,
  KIND_DEPTH,
  MAX_DEPTH,
  TAG_ATTACHMENT,
  TAG_BIGINT,
  TAG_CLASS,
  TAG_NEGATIVE_BIGINT,
  TAG_PADDING,
  TAG_REFERENCE,
  TAG_ROUTINE,
  TAG_SHARING,
  TAG_UTF16,
} from './tags.ts';
import { MAJOR } from './writer.ts';

const STOP = 0xff;
const INDEFINITE = 31;

const nothing: readonly Uint8Array[] = [];

/** How to decode. */
export interface DecodeOptions {
  /** Whether what is not known here by its name is replaced by a note. */
  readonly lenient?: boolean;
  /** Whether the value was thrown, so that something of it must arrive. */
  readonly thrown?: boolean;
  /** Levels that it may be nested. Default, and most: 1,000. */
  readonly maxDepth?: number;
  /** Told when it is nested more deeply. */
  readonly exceeded?: (error: LimitExceeded) => void;
}

export class Decoder extends CborReader implements ValueSource {
  readonly #kinds: KindTable;
  readonly #shapes = new Shapes();
  lenient = false;
  thrown = false;
  openErrors = 0;
  notes = 0;
  #depth = 0;
  #maxDepth = MAX_DEPTH;
  #attachments = nothing;
  #attached = 0;
  /** All objects so far, each at its number; undefined when the value has no references. */
  #objects: (object | undefined)[] | undefined;
  /** All names so far, each at its number. */
  #names: ReadName[] = [];

  constructor(kinds: KindTable) {
    super();
    this.#kinds = kinds;
  }

  decode(
    bytes: Uint8Array,
    attachments: readonly Uint8Array[] = nothing,
    { lenient = false, thrown = false, maxDepth = MAX_DEPTH }: DecodeOptions = {},
  ): unknown {
    this.lenient = lenient;
    this.thrown = thrown;
    this.#maxDepth = maxDepth;
    this.notes = 0;
    let beside = 0;
    for (const { length } of attachments) beside += length;
    this.open(bytes, beside);
    this.#shapes.begin();
    this.#attachments = attachments;
    const padded = this.#prefix(TAG_PADDING);
    if (padded && this.head(MAJOR.array) !== 2) throw damaged('padding without its two parts');
    this.#objects = this.#prefix(TAG_SHARING) ? [] : undefined;
    const value = this.read();
    if (padded) this.view(this.head(MAJOR.bytes));
    if (this.left > 0) throw damaged('bytes follow it');
    if (this.#attached < attachments.length) throw damaged('it leaves out an attachment');
    return value;
  }

  /** Forgets the value, so that nothing of it is kept alive. */
  reset(): void {
    this.open();
    this.#depth = 0;
    this.openErrors = 0;
    this.#attachments = nothing;
    this.#attached = 0;
    this.#objects = undefined;
    if (this.#names.length > 0) this.#names = [];
  }

  read(): unknown {
    const first = this.peek();
    this.position++;
    if (first < 24) return first;
    switch (first & 0xe0) {
      case MAJOR.unsigned:
        return this.wide(first);
      case MAJOR.negative:
        return negative(this.wide(first));
      case MAJOR.bytes:
        return this.#bytes(this.narrow(first));
      case MAJOR.text:
        return this.utf8(this.narrow(first));
      case MAJOR.array:
        return this.#array(this.checkCount(this.narrow(first), MAJOR.array));
      case MAJOR.map:
        return this.#map(first);
      case MAJOR.tag:
        return this.#tagged(this.narrow(first));
      default:
        return this.#simple(first);
    }
  }

  note(text: string): string {
    this.notes++;
    return text;
  }

  blob(): OwnBytes {
    if ((this.peek() & 0xe0) !== MAJOR.tag) {
      const size = this.head(MAJOR.bytes);
      this.charge(size);
      return this.#copy(size);
    }
    if (this.head(MAJOR.tag) !== TAG_ATTACHMENT) throw damaged('a tag where bytes should be');
    const bytes = this.#attachment();
    // Some kinds have to copy it.
    this.charge(bytes.length);
    return bytes;
  }

  name(kind: NamedKind): ReadName {
    if ((this.peek() & 0xe0) === MAJOR.unsigned) {
      const known = this.#names[this.head(MAJOR.unsigned)];
      if (known?.kind !== kind) throw damaged('it refers to a name that is not there');
      return known;
    }
    if (this.head(MAJOR.array) !== 2) throw damaged('a name without its two parts');
    this.charge(NAME);
    const name = new ReadName(kind, this.text(), this.text());
    this.#names.push(name);
    return name;
  }

  properties(target: object, inherits = false, apart = false): void {
    const first = this.peek();
    if ((first & 0xe0) !== MAJOR.map) throw damaged('no map where one should be');
    this.position++;
    const tabled = Object.getPrototypeOf(target) === null;
    const shape = apart ? unkept : this.#shapes.root;
    this.#entries(shape, target as Record<string, unknown>, first, inherits, tabled);
  }

  #array(length: number): unknown[] {
    this.#enter(1);
    this.charge(arrayCost(length));
    // The engine would make a hash table for more at once.
    const values: unknown[] = new Array(Math.min(length, ALLOCATED_ITEMS));
    this.#claimed(values);
    for (let i = 0; i < length; i++) {
      if (this.bytes[this.position] === HOLE) {
        this.position++;
        if (i >= values.length) values.length = i + 1;
      } else {
        values[i] = this.read();
      }
    }
    this.#depth--;
    return values;
  }

  #map(first: number): object {
    this.#enter(1);
    this.charge(OBJECT);
    const value = this.#claimed({});
    this.#entries(this.#shapes.root, value, first, false, false);
    this.#depth--;
    return value;
  }

  #entries(
    root: Shape,
    target: Record<string, unknown>,
    first: number,
    inherits: boolean,
    tabled: boolean,
  ): void {
    let shape = root;
    if ((first & 0x1f) === INDEFINITE) {
      for (let i = 0; this.peek() !== STOP; i++) {
        if (i >= INSIDE) this.charge(propertyCost(i, tabled));
        shape = this.#property(target, inherits, shape, i);
      }
      this.position++;
      return;
    }
    const count = this.checkCount(this.narrow(first), MAJOR.map);
    if (count > INSIDE) this.charge(propertiesCost(count, tabled));
    for (let i = 0; i < count; i++) shape = this.#property(target, inherits, shape, i);
  }

  /** Reads a property, the one after `count` others; gives the shape with it. */
  #property(
    target: Record<string, unknown>,
    inherits: boolean,
    before: Shape,
    count: number,
  ): Shape {
    let shape = before.next;
    let key: string;
    if (shape?.ascii === true && this.is(shape.key)) {
      key = shape.key;
    } else {
      key = this.key();
      shape = this.#step(target, before, key, count);
    }
    const value = this.read();
    if (key === 'then' && typeof value === 'function') throw damaged('it poses as a promise');
    if (key === '__proto__' || (inherits && key in target)) define(target, key, value);
    else target[key] = value;
    return shape;
  }

  #step(target: Record<string, unknown>, shape: Shape, key: string, count: number): Shape {
    if (isIndexLike(key)) {
      this.charge(stringCost(key.length) + indexCost(count));
      if (isFar(key, count)) makeSparse(target);
      return shape;
    }
    if (count >= SHAPED) {
      this.charge(stringCost(key.length));
      return shape;
    }
    const known = shape.find(key);
    if (known !== undefined) return known;
    this.charge(TRANSITION + stringCost(key.length));
    return this.#shapes.keep(shape, key);
  }

  #tagged(tag: number): unknown {
    switch (tag) {
      case TAG_BIGINT:
        return this.bigint();
      case TAG_NEGATIVE_BIGINT:
        return -1n - this.bigint();
      case TAG_UTF16:
        return this.utf16();
      case TAG_REFERENCE:
        return this.#reference(this.head(MAJOR.unsigned));
      case TAG_ATTACHMENT:
        return this.#attachedBytes();
      case TAG_ROUTINE:
        return this.#named('routine');
      case TAG_CLASS:
        return this.#named('class');
      default:
        return this.#kind(tag);
    }
  }

  #kind(tag: number): unknown {
    const reader = this.#kinds.reader(tag);
    if (reader === undefined) throw damaged(`tag ${tag} is not known here`);
    const { read, cost } = reader;
    this.charge(this.#objects === undefined ? cost : cost + SHARED);
    this.#enter(KIND_DEPTH);
    const objects = this.#objects;
    const number = objects === undefined ? 0 : objects.push(undefined) - 1;
    const claim = (value: object): void => {
      if (objects !== undefined) objects[number] = value;
    };
    const value = read(this, claim);
    // Not so a note, which nothing can refer to.
    if (typeof value === 'object' && value !== null) claim(value);
    this.#depth -= KIND_DEPTH;
    return value;
  }

  #named(kind: NamedKind): unknown {
    const name = this.name(kind);
    const found = findNamed(name);
    if (found !== undefined) return found;
    if (!this.lenient) throw new UnknownName(name);
    return this.note(name.note);
  }

  #reference(number: number): unknown {
    const value = this.#objects?.[number];
    // What a note stands for has a number, too.
    if (value === undefined && (this.lenient || this.notes > 0))
      return this.note('[not known here]');
    if (value === undefined) throw damaged('it refers to something that is not there');
    return value;
  }

  #simple(first: number): unknown {
    switch (first) {
      case 0xf4:
        return false;
      case 0xf5:
        return true;
      case 0xf6:
        return null;
      case 0xf7:
        return undefined;
      case 0xf9:
        return this.float16();
      case 0xfa:
        return this.float(4);
      case 0xfb:
        return this.float(8);
      default:
        throw damaged(`unexpected byte 0x${first.toString(16)}`);
    }
  }

  #bytes(size: number): OwnBytes {
    this.charge(bytesCost(size));
    return this.#claimed(this.#copy(size));
  }

  #attachedBytes(): OwnBytes {
    const bytes = this.#attachment();
    this.charge(bytesCost(bytes.length));
    return this.#claimed(bytes);
  }

  /** The program owns what it gets: a view would keep the packet alive and show its other bytes. */
  #copy(size: number): OwnBytes {
    return new Uint8Array(this.view(size));
  }

  /** Each attachment is taken once, in the order of their numbers. */
  #attachment(): OwnBytes {
    const number = this.head(MAJOR.unsigned);
    const bytes = this.#attachments[number];
    if (bytes === undefined || number !== this.#attached) throw damaged('an attachment is missing');
    this.#attached++;
    // As with `#copy`; those that came in chunks have memory of their own.
    if (bytes.byteLength < bytes.buffer.byteLength) return new Uint8Array(bytes);
    return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
  }

  #claimed<T extends object>(value: T): T {
    if (this.#objects !== undefined) {
      this.charge(SHARED);
      this.#objects.push(value);
    }
    return value;
  }

  #enter(levels: number): void {
    this.#depth += levels;
    if (this.#depth > this.#maxDepth) throw tooDeep(this.#depth, this.#maxDepth);
  }

  /** Skips a tag that stands before the value, if it is there. */
  #prefix(tag: number): boolean {
    const { bytes, position } = this;
    if (bytes[position] !== (MAJOR.tag | 25)) return false;
    if (bytes[position + 1] !== tag >>> 8 || bytes[position + 2] !== (tag & 0xff)) return false;
    this.position = position + 3;
    return true;
  }
}

function tooDeep(value: number, max: number): LimitExceeded {
  const message = `a value came that is nested more than ${max} levels deep (maxDepth)`;
  return new LimitExceeded(message, { limit: 'maxDepth', value, max });
}

function negative(n: number | bigint): number | bigint {
  if (typeof n === 'bigint') return -1n - n;
  const value = -1 - n;
  return Number.isSafeInteger(value) ? value : -1n - BigInt(n);
}
