/**
 * What travels by name: routines and classes. Its receiver finds it under the module that makes it
 * and its name there, and takes nothing else of it from the sender.
 */
import { SerializationError } from '../errors.ts';
import { shorten } from './refusal.ts';

/** What there is to find by name. */
export type NamedKind = 'routine' | 'class';

/** What something that travels by name is known by. */
export interface Name {
  readonly kind: NamedKind;
  /** Name of the module that makes it when it loads. */
  readonly module: string;
  /** Unique in its module, among all of its kind. */
  readonly name: string;
}

/** Characters that a note keeps of a long name at either end. */
const NOTED = 90;

/** A name that was read. It has the notes that stand for what is not known: they are the same each time. */
export class ReadName implements Name {
  readonly kind: NamedKind;
  readonly module: string;
  readonly name: string;
  #note: string | undefined;
  #instanceNote: string | undefined;

  constructor(kind: NamedKind, module: string, name: string) {
    this.kind = kind;
    this.module = module;
    this.name = name;
  }

  get note(): string {
    this.#note ??= `[not known here: ${this.kind} ${shown(this)}]`;
    return this.#note;
  }

  /** Of an instance of the class. */
  get instanceNote(): string {
    this.#instanceNote ??= `[not known here: an instance of class ${shown(this)}]`;
    return this.#instanceNote;
  }
}

/** A name as people read it, who are not told all of a long one. */
export function shown({ name, module }: Omit<Name, 'kind'>): string {
  return `'${shorten(name, NOTED)}' of ${shorten(module, NOTED)}`;
}

interface Names {
  readonly byModule: Map<string, Record<NamedKind, Map<string, object>>>;
  readonly byValue: WeakMap<object, Name>;
}

// Two copies of the package in one process must see the same ones.
const key = Symbol.for('skein.names');
const holder = globalThis as { [key]?: Names };
holder[key] ??= { byModule: new Map(), byValue: new WeakMap() };
const { byModule, byValue } = holder[key];

/** Makes something findable. One that had the name before is not found any more, but still known by it. */
export function registerName(name: Name, value: object): void {
  let values = byModule.get(name.module);
  if (values === undefined) {
    values = { routine: new Map(), class: new Map() };
    byModule.set(name.module, values);
  }
  values[name.kind].set(name.name, value);
  byValue.set(value, name);
}

/** What a value is known by, when it travels by name. */
export function nameOf(value: object): Name | undefined {
  return byValue.get(value);
}

export function findNamed({ kind, module, name }: Name): object | undefined {
  return byModule.get(module)?.[kind].get(name);
}

/** Gives what drops the names again that a module makes from now on, for when it fails to load. */
export function rememberNames(module: string): () => void {
  const values = byModule.get(module);
  const before = values && { routine: new Map(values.routine), class: new Map(values.class) };
  return () => {
    if (before === undefined) byModule.delete(module);
    else byModule.set(module, before);
  };
}

/** Lets what a module makes be found by another name of that module, too. */
export function addModuleAlias(alias: string, module: string): void {
  const values = byModule.get(module);
  if (values !== undefined) byModule.set(alias, values);
}

/**
 * Thrown by the decoder: the value names something that is not known here. It can be decoded when the
 * module was loaded.
 */
export class UnknownName extends SerializationError {
  readonly wanted: Name;

  constructor(wanted: Name) {
    super(`${wanted.kind} ${shown(wanted)} is not known here`);
    this.wanted = wanted;
  }
}
