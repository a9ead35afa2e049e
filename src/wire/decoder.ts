/**
 * Reads a value. Bytes that no encoder wrote end in a `SerializationError`; they never reach a
 * prototype, nest without limit, or make the decoder allocate for more than they contain.
 */
import type { KindTable, OwnBytes, ValueSource } from './kinds.ts';
import { findNamed, type Name, type NamedKind, UnknownName } from './names.ts';
import { CborReader, damaged } from './reader.ts';
import {
  HOLE,
  MAX_DEPTH,
  TAG_ATTACHMENT,
  TAG_BIGINT,
  TAG_CLASS,
  TAG_NEGATIVE_BIGINT,
  TAG_REFERENCE,
  TAG_ROUTINE,
  TAG_SHARING,
  TAG_UTF16,
} from './tags.ts';
import { MAJOR } from './writer.ts';

/** Arrays up to this length are allocated at once. A longer one grows, as its length may be a lie. */
const ALLOCATED = 32;
const STOP = 0xff;
const INDEFINITE = 31;

const nothing: readonly Uint8Array[] = [];

export class Decoder extends CborReader implements ValueSource {
  readonly #kinds: KindTable;
  lenient = false;
  #depth = 0;
  #attachments = nothing;
  #attached = 0;
  /** All objects so far, each at its number; undefined when the value has no references. */
  #objects: (object | undefined)[] | undefined;
  /** All names so far, each at its number. */
  #names: Omit<Name, 'kind'>[] = [];

  constructor(kinds: KindTable) {
    super();
    this.#kinds = kinds;
  }

  /** @param lenient whether what is not known here by its name is replaced by a note */
  decode(
    bytes: Uint8Array,
    attachments: readonly Uint8Array[] = nothing,
    lenient = false,
  ): unknown {
    this.lenient = lenient;
    this.open(bytes);
    this.#attachments = attachments;
    this.#objects = this.#sharing() ? [] : undefined;
    const value = this.read();
    if (this.left > 0) throw damaged('bytes follow it');
    if (this.#attached < attachments.length) throw damaged('it leaves out an attachment');
    return value;
  }

  /** Forgets the value, so that nothing of it is kept alive. */
  reset(): void {
    this.open();
    this.#depth = 0;
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
        return this.#claimed(this.#copy(this.narrow(first)));
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

  blob(): OwnBytes {
    if ((this.peek() & 0xe0) !== MAJOR.tag) return this.#copy(this.head(MAJOR.bytes));
    if (this.head(MAJOR.tag) !== TAG_ATTACHMENT) throw damaged('a tag where bytes should be');
    return this.#attachment();
  }

  name(kind: NamedKind): Name {
    if ((this.peek() & 0xe0) === MAJOR.unsigned) {
      const known = this.#names[this.head(MAJOR.unsigned)];
      if (known === undefined) throw damaged('it refers to a name that is not there');
      return { kind, module: known.module, name: known.name };
    }
    if (this.head(MAJOR.array) !== 2) throw damaged('a name without its two parts');
    const name = { kind, module: this.text(), name: this.text() };
    this.#names.push(name);
    return name;
  }

  properties(target: object, inherits = false): void {
    const first = this.peek();
    if ((first & 0xe0) !== MAJOR.map) throw damaged('no map where one should be');
    this.position++;
    this.#entries(target as Record<string, unknown>, first, inherits);
  }

  #array(length: number): unknown[] {
    this.#enter();
    const values: unknown[] = length <= ALLOCATED ? new Array(length) : [];
    this.#claimed(values);
    for (let i = 0; i < length; i++) {
      if (this.bytes[this.position] === HOLE) {
        this.position++;
        values.length = Math.max(values.length, i + 1);
      } else {
        values[i] = this.read();
      }
    }
    this.#depth--;
    return values;
  }

  #map(first: number): object {
    this.#enter();
    const value = this.#claimed({});
    this.#entries(value, first, false);
    this.#depth--;
    return value;
  }

  #entries(target: Record<string, unknown>, first: number, inherits: boolean): void {
    if ((first & 0x1f) === INDEFINITE) {
      while (this.peek() !== STOP) this.#property(target, inherits);
      this.position++;
      return;
    }
    const count = this.checkCount(this.narrow(first), MAJOR.map);
    for (let i = 0; i < count; i++) this.#property(target, inherits);
  }

  #property(target: Record<string, unknown>, inherits: boolean): void {
    const key = this.key();
    const value = this.read();
    if (key === '__proto__' || (inherits && key in target)) define(target, key, value);
    else target[key] = value;
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
        return this.#claimed(this.#attachment());
      case TAG_ROUTINE:
        return this.#named('routine');
      case TAG_CLASS:
        return this.#named('class');
      default:
        return this.#kind(tag);
    }
  }

  #kind(tag: number): unknown {
    const read = this.#kinds.reader(tag);
    if (read === undefined) throw damaged(`tag ${tag} is not known here`);
    this.#enter();
    const objects = this.#objects;
    const number = objects === undefined ? 0 : objects.push(undefined) - 1;
    const claim = (value: object): void => {
      if (objects !== undefined) objects[number] = value;
    };
    const value = read(this, claim);
    // Not so a note, which nothing can refer to.
    if (typeof value === 'object' && value !== null) claim(value);
    this.#depth--;
    return value;
  }

  #named(kind: NamedKind): unknown {
    const name = this.name(kind);
    const found = findNamed(name);
    if (found !== undefined) return found;
    if (!this.lenient) throw new UnknownName(name);
    return `[not known here: ${kind} '${name.name}' of ${name.module}]`;
  }

  #reference(number: number): unknown {
    const value = this.#objects?.[number];
    // What a note stands for has a number, too.
    if (value === undefined && this.lenient) return '[not known here]';
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
    return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
  }

  #claimed<T extends object>(value: T): T {
    this.#objects?.push(value);
    return value;
  }

  #enter(): void {
    if (++this.#depth > MAX_DEPTH) throw damaged(`it is nested more than ${MAX_DEPTH} levels deep`);
  }

  /** Skips `TAG_SHARING`, if it is there. */
  #sharing(): boolean {
    const { bytes } = this;
    if (bytes[0] !== (MAJOR.tag | 25)) return false;
    if (bytes[1] !== TAG_SHARING >>> 8 || bytes[2] !== (TAG_SHARING & 0xff)) return false;
    this.position = 3;
    return true;
  }
}

/** Sets a property without touching a prototype. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

function negative(n: number | bigint): number | bigint {
  if (typeof n === 'bigint') return -1n - n;
  const value = -1 - n;
  return Number.isSafeInteger(value) ? value : -1n - BigInt(n);
}
