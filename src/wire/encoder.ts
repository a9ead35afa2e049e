/**
 * Checks and writes a value in one walk. Checking first and writing then would cost a second walk,
 * and could be deceived by a getter that answers differently the second time.
 */
import { inspect } from 'node:util';
import { nearestClassOf } from './classes.ts';
import {
  ALLOWANCE,
  arrayCost,
  BUFFER,
  INSIDE,
  indexCost,
  NAME,
  OBJECT,
  PER_BYTE,
  propertiesCost,
  SHARED,
  stringCost,
  TRANSITION,
} from './cost.ts';
import { inlineKind, isInlineRoutine } from './inline-kind.ts';
import type { KindTable, StackText, Uncoded, ValueSink } from './kinds.ts';
import {
  bytesOfGroup,
  type Group,
  type Groups,
  groupOf,
  MemoryList,
  paddingOf,
  type Span,
} from './memory.ts';
import { type Name, nameOf } from './names.ts';
import { isArrayPrototype, isObjectPrototype } from './realms.ts';
import { asRefusal, describe, property, Refusal, within } from './refusal.ts';
import { isIndexLike, SHAPED, type Shape, Shapes } from './shapes.ts';
import {
  ATTACHMENT_BYTES,
  HOLE,
  KIND_DEPTH,
  MAX_DEPTH,
  MAX_HOLES,
  TAG_ARRAY_BUFFER,
  TAG_ATTACHMENT,
  TAG_CLASS,
  TAG_PADDING,
  TAG_REFERENCE,
  TAG_ROUTINE,
  TAG_SHARING,
  TAG_VIEW,
} from './tags.ts';
import { refuse, refuseSymbols } from './unsupported.ts';
import { CborWriter, MAJOR } from './writer.ts';

/** Encoded user value: one CBOR item first, then attachments in the order of their numbers. */
export type Encoded = Uint8Array | readonly Uint8Array[];

/** How to encode. */
export interface EncodeOptions {
  /** Whether errors take their stack along, or what they take for it. */
  readonly stacks: boolean | StackText;
  /** Whether large byte arrays may travel beside the value. */
  readonly attachments: boolean;
  /** Whether the value is an array of the runtime's own, which has nothing but items. */
  readonly list?: boolean;
  /** Whether the value was thrown, so that something of it must arrive. */
  readonly thrown?: boolean;
}

/** Up to this many objects a scan of a list finds one faster than a Map does. */
const SCANNED = 12;
/** What may go before the value: `TAG_PADDING` with the head of an array, and `TAG_SHARING`. */
const PREFIX_BYTES = 7;
/** Listing the keys of an array costs more with each item; above this, `inspect` knows faster. */
const LISTED_KEYS = 64;

const objectPrototype = Object.prototype;
const arrayPrototype = Array.prototype;
const { getPrototypeOf, getOwnPropertySymbols } = Object;

export class Encoder extends CborWriter implements ValueSink {
  readonly #kinds: KindTable;
  readonly #shapes = new Shapes();
  #options: EncodeOptions = { stacks: true, attachments: true };
  #depth = 0;
  /** All objects so far, each at its number. Never shrinks: `#count` says how many count. */
  #seen: (object | undefined)[] = [];
  #count = 0;
  /** The same as `#seen`, once there are many. */
  #numbers: Map<object, number> | undefined;
  /** Whether an object occurred twice. */
  #sharing = false;
  #attachments: Uint8Array[] = [];
  /** All names so far, each at its number. */
  #names: Name[] = [];
  /** All memory so far. */
  readonly #memory = new MemoryList();
  /** Memory that is shared; known when the value is written once more. */
  #groups: Groups | undefined;
  readonly openErrors: object[] = [];
  readonly uncoded = new Map<object, Uncoded>();
  readonly openInstances: object[] = [];

  constructor(kinds: KindTable) {
    super();
    this.#kinds = kinds;
  }

  get stacks(): boolean | StackText {
    return this.#options.stacks;
  }

  get thrown(): boolean {
    return this.#options.thrown === true;
  }

  /** Encodes one value. Throws a `Refusal`, or whatever the value's own code throws. */
  encode(value: unknown, options: EncodeOptions): Encoded {
    this.#options = options;
    this.#start(value);
    if (this.#memory.count > 1) this.#share(value);
    let prefix = PREFIX_BYTES;
    if (this.#sharing) {
      this.cost += this.#count * SHARED;
      prefix = this.#prefix(prefix, TAG_SHARING);
    }
    const padding = this.#padding();
    if (padding > 0) {
      this.bytes[this.begin + --prefix] = MAJOR.array | 2;
      prefix = this.#prefix(prefix, TAG_PADDING);
      this.zeros(padding);
    }
    const bytes = this.take(this.begin + prefix);
    return this.#attachments.length === 0 ? bytes : [bytes, ...this.#attachments];
  }

  /** Forgets the value, so that nothing of it is kept alive. */
  reset(): void {
    if (this.#count > SCANNED) this.#seen = [];
    else for (let i = 0; i < this.#count; i++) this.#seen[i] = undefined;
    this.#count = 0;
    this.#depth = 0;
    this.#numbers = undefined;
    this.#sharing = false;
    if (this.openErrors.length > 0) this.openErrors.length = 0;
    if (this.openInstances.length > 0) this.openInstances.length = 0;
    if (this.uncoded.size > 0) this.uncoded.clear();
    if (this.#attachments.length > 0) this.#attachments = [];
    if (this.#names.length > 0) this.#names = [];
    if (this.#memory.count > 0) this.#memory.forget(0);
    if (this.#groups !== undefined) this.#groups = undefined;
  }

  write(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.text(value);
        return;
      case 'number':
        this.number(value);
        return;
      case 'boolean':
        this.byte(value ? 0xf5 : 0xf4);
        return;
      case 'undefined':
        this.byte(0xf7);
        return;
      case 'bigint':
        this.bigint(value);
        return;
      case 'object':
        if (value === null) this.byte(0xf6);
        else this.#object(value);
        return;
      case 'function':
        this.#function(value);
        return;
      default:
        refuse(value);
    }
  }

  writeOrNote(value: unknown): void {
    this.#orNote(() => this.write(value));
  }

  attempt(write: () => void): Refusal | undefined {
    const size = this.position - this.begin;
    const { cost } = this;
    const count = this.#count;
    const depth = this.#depth;
    const attachments = this.#attachments.length;
    const names = this.#names.length;
    const memory = this.#memory.count;
    const open = this.openErrors.length;
    const instances = this.openInstances.length;
    try {
      write();
      return undefined;
    } catch (error) {
      this.position = this.begin + size;
      this.cost = cost;
      this.#shapes.forget();
      this.#forget(count);
      this.#depth = depth;
      this.#attachments.length = attachments;
      this.#names.length = names;
      this.#memory.forget(memory);
      this.openErrors.length = open;
      this.openInstances.length = instances;
      return asRefusal(error);
    }
  }

  blob(bytes: Uint8Array): void {
    this.cost += bytes.length;
    if (bytes.length < ATTACHMENT_BYTES || !this.#options.attachments) {
      this.byteString(bytes);
      return;
    }
    this.tag(TAG_ATTACHMENT);
    this.head(MAJOR.unsigned, this.#attachments.length);
    this.#attachments.push(bytes);
  }

  wholeBuffer(span: Span): void {
    this.#memory.add(span);
  }

  sharedView(type: number, span: Span): boolean {
    if (this.#groups === undefined) {
      this.#memory.add(span);
      return false;
    }
    const group = groupOf(this.#groups, span);
    if (group === undefined) return false;
    this.tag(TAG_VIEW);
    this.head(MAJOR.array, 4);
    this.head(MAJOR.unsigned, type);
    if (group.whole) this.write(group.buffer);
    else this.#groupBytes(group);
    this.head(MAJOR.unsigned, span.start - group.start + paddingOf(group));
    this.head(MAJOR.unsigned, (span.end - span.start) / span.align);
    return true;
  }

  name(name: Name): void {
    const known = this.#names.indexOf(name);
    if (known !== -1) {
      this.head(MAJOR.unsigned, known);
      return;
    }
    this.#names.push(name);
    this.cost += NAME;
    this.head(MAJOR.array, 2);
    this.text(name.module);
    this.text(name.name);
  }

  listOrNote(values: readonly unknown[], item: (value: unknown) => void): void {
    this.#orNote(() => {
      if (this.#again(values)) return;
      this.#enter(1);
      this.#array(values, item);
      this.#depth--;
    });
  }

  properties(value: object): void {
    this.#properties(value, getPrototypeOf(value) === null);
  }

  #properties(value: object, tabled: boolean): void {
    const keys = Object.keys(value);
    const { length } = keys;
    this.head(MAJOR.map, length);
    if (length > INSIDE) this.cost += propertiesCost(length, tabled);
    const shapes = this.#shapes;
    let shape = shapes.root;
    let i = 0;
    try {
      for (; i < length; i++) {
        const key = keys[i]!;
        const size = this.string(key);
        const { next } = shape;
        if (next !== undefined && next.key === key && next.value === shapes.value) shape = next;
        else shape = this.#step(shape, key, size, i);
        const item = (value as Record<string, unknown>)[key];
        if (key === 'then' && typeof item === 'function') refuseThenable();
        this.write(item);
      }
    } catch (error) {
      throw within(error, property(keys[i]!));
    }
  }

  #orNote(write: () => void): void {
    const refusal = this.attempt(write);
    if (refusal !== undefined) this.write(`[not sent: ${describe(refusal)}]`);
  }

  #start(value: unknown): void {
    this.start();
    this.#shapes.begin();
    this.position += PREFIX_BYTES;
    if (this.#options.list === true) this.#list(value as readonly unknown[]);
    else this.write(value);
  }

  /** Writes the value once more when parts of it share memory: which do is known at its end only. */
  #share(value: unknown): void {
    const groups = this.#memory.groups();
    if (groups === undefined) return;
    this.position = this.begin;
    this.reset();
    this.#groups = groups;
    this.#start(value);
  }

  /** The bytes of a group are an object to the receiver: the buffer that its views share there. */
  #groupBytes(group: Group): void {
    if (this.#again(group)) return;
    this.#enter(KIND_DEPTH);
    this.cost += BUFFER;
    this.tag(TAG_ARRAY_BUFFER);
    this.blob(bytesOfGroup(group));
    this.#depth -= KIND_DEPTH;
  }

  /** Counts what it takes that `key` follows `shape`, the `count` keys before it. */
  #step(shape: Shape, key: string, size: number, count: number): Shape {
    if (isIndexLike(key)) {
      this.cost += stringCost(size) + indexCost(count);
      return shape;
    }
    if (count >= SHAPED) {
      this.cost += stringCost(size);
      return shape;
    }
    const known = shape.find(key);
    if (known?.value === this.#shapes.value) return known;
    this.cost += TRANSITION + stringCost(size);
    return this.#shapes.keep(shape, key, known);
  }

  #object(value: object): void {
    if (this.#again(value)) return;
    this.#enter(1);
    const prototype = getPrototypeOf(value) as object | null;
    if (Array.isArray(value) && (prototype === arrayPrototype || isArrayPrototype(prototype))) {
      this.#array(value);
    } else if (prototype === objectPrototype) {
      this.#plain(value);
    } else {
      const kind = this.#kinds.find(value, prototype);
      if (kind !== undefined) {
        this.cost += kind.cost;
        this.#enter(KIND_DEPTH - 1);
        kind.write(this, value);
        this.#depth -= KIND_DEPTH - 1;
      } else if (isObjectPrototype(prototype)) this.#plain(value);
      else refuse(value);
    }
    this.#depth--;
  }

  #plain(value: object): void {
    if (getOwnPropertySymbols(value).length > 0) refuseSymbols(value);
    this.cost += OBJECT;
    this.#properties(value, false);
  }

  #function(value: object): void {
    const name = nameOf(value);
    if (name === undefined) {
      this.#inline(value);
      return;
    }
    this.tag(name.kind === 'routine' ? TAG_ROUTINE : TAG_CLASS);
    this.name(name);
  }

  #inline(value: object): void {
    if (!isInlineRoutine(value)) refuse(value);
    if (this.#again(value)) return;
    this.#enter(KIND_DEPTH);
    this.cost += inlineKind.cost;
    inlineKind.write(this, value);
    this.#depth -= KIND_DEPTH;
  }

  #array(values: readonly unknown[], item?: (value: unknown) => void): void {
    if (hasNames(values)) {
      throw new Refusal('an array with properties of its own', 'pass them in an object beside it');
    }
    if (getOwnPropertySymbols(values).length > 0) refuseSymbols(values);
    this.#items(values, item);
  }

  #list(values: readonly unknown[]): void {
    this.#again(values);
    this.#enter(1);
    this.#items(values);
  }

  /** Not by its iterator, which may be the program's own: the length is on its way already. */
  #items(values: readonly unknown[], item?: (value: unknown) => void): void {
    const { length } = values;
    if (!(length >>> 0 === length)) refuseLength();
    this.cost += arrayCost(length);
    this.head(MAJOR.array, length);
    let i = 0;
    let holes = 0;
    try {
      for (; i < length; i++) {
        const value = values[i];
        if (value !== undefined || i in values) {
          if (item === undefined) this.write(value);
          else item(value);
        } else if (++holes <= MAX_HOLES) this.byte(HOLE);
        else break;
      }
    } catch (error) {
      throw within(error, `[${i}]`);
    }
    if (holes > MAX_HOLES) {
      throw new Refusal(`an array with more than ${MAX_HOLES} empty places`, 'pass a Map');
    }
  }

  #enter(levels: number): void {
    this.#depth += levels;
    if (this.#depth > MAX_DEPTH) {
      throw new Refusal(`a value nested more than ${MAX_DEPTH} levels deep`, 'pass a flatter one');
    }
  }

  /** Numbers an object that is new. Writes a reference to one that is not, and returns true. */
  #again(value: object): boolean {
    const known = this.#numberOf(value);
    if (known === undefined) {
      this.#numbers?.set(value, this.#count);
      this.#seen[this.#count++] = value;
      return false;
    }
    if (this.openInstances.includes(value)) refuseCycle(value);
    this.#sharing = true;
    this.tag(TAG_REFERENCE);
    this.head(MAJOR.unsigned, known);
    return true;
  }

  #numberOf(value: object): number | undefined {
    if (this.#numbers) return this.#numbers.get(value);
    const seen = this.#seen;
    const count = this.#count;
    for (let i = 0; i < count; i++) if (seen[i] === value) return i;
    if (count === SCANNED) {
      this.#numbers = new Map();
      for (let i = 0; i < count; i++) this.#numbers.set(seen[i]!, i);
    }
    return undefined;
  }

  /** Forgets all objects from the number `count` on. */
  #forget(count: number): void {
    while (this.#count > count) {
      const value = this.#seen[--this.#count]!;
      this.#numbers?.delete(value);
    }
  }

  /** Writes a tag before `place`, and returns where it begins. */
  #prefix(place: number, tag: number): number {
    const at = this.begin + place - 3;
    this.bytes[at] = MAJOR.tag | 25;
    this.bytes[at + 1] = tag >>> 8;
    this.bytes[at + 2] = tag & 0xff;
    return place - 3;
  }

  /** The bytes by which the value is too short for what it takes in memory. */
  #padding(): number {
    let size = this.position - this.begin - PREFIX_BYTES;
    for (const { length } of this.#attachments) size += length;
    return Math.ceil((this.cost - ALLOWANCE) / PER_BYTE) - size;
  }
}

/** Whether an array has enumerable properties beside its items, such as `index` of a match. */
function hasNames(values: readonly unknown[]): boolean {
  const { length } = values;
  if (length > LISTED_KEYS) {
    const shown = inspect(values, { maxArrayLength: 0, depth: 0, customInspect: false });
    return !/^\[ \.\.\. \d+ more items? \]$/.test(shown);
  }
  const keys = Object.keys(values);
  // Names come after numbers.
  const last = keys[keys.length - 1];
  return last !== undefined && last !== String(length - 1) && !/^(0|[1-9]\d*)$/.test(last);
}

/** A promise that gets such an object would call it, with functions that can't travel. */
function refuseThenable(): never {
  throw new Refusal(
    "a routine or a class called 'then', by which promises take an object for one of them,",
    'give it another name',
  );
}

/** A Proxy has any length that it wants to. */
function refuseLength(): never {
  throw new Refusal('an array whose length is none', 'pass a copy');
}

/** Its receiver can't refer to an instance that is not made yet. */
function refuseCycle(value: object): never {
  if (nearestClassOf(value)?.encode === undefined) {
    throw new Refusal('an error in its own name or message', 'pass a text there');
  }
  throw new Refusal(
    `a cycle through an instance of ${value.constructor.name}, whose class has its own encode,`,
    'leave it out of what encode gives, or register the class by its fields',
  );
}
