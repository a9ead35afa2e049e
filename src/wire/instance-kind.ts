/**
 * Instances of the program's classes. On the wire: `[name of the class, content]`. The tag says whether the
 * content is a map of properties, or what the class's `encode` gave: a receiver that lacks the class must
 * know which, as only the latter counts objects of its own.
 */
import { decodeContent, unreadable, writeEncoded } from './class-codec.ts';
import { classNamed, classOf, fieldsOf, type RegisteredClass } from './classes.ts';
import { INSTANCE } from './cost.ts';
import { kind, type ReadKind, type ValueSink, type ValueSource } from './kinds.ts';
import { UnknownName } from './names.ts';
import { damaged } from './reader.ts';
import { TAG_ENCODED_INSTANCE, TAG_INSTANCE } from './tags.ts';
import { refuseSymbols } from './unsupported.ts';
import { MAJOR } from './writer.ts';

const { getPrototypeOf } = Object;

export const instanceKind = kind<object>({
  prototypes: [],
  cost: INSTANCE,
  matches: (value) => classOf(getPrototypeOf(value)) !== undefined,
  write(sink, value) {
    const registered = classOf(getPrototypeOf(value)) as RegisteredClass;
    sink.tag(registered.encode ? TAG_ENCODED_INSTANCE : TAG_INSTANCE);
    sink.head(MAJOR.array, 2);
    sink.name(registered.name);
    writeContent(sink, value, registered);
  },
  read: {
    [TAG_INSTANCE]: readProperties,
    [TAG_ENCODED_INSTANCE]: readEncoded,
  },
});

function writeContent(sink: ValueSink, value: object, registered: RegisteredClass): void {
  const { fields, encode } = registered;
  if (encode !== undefined) {
    writeEncoded(sink, value, registered);
    return;
  }
  if (Object.getOwnPropertySymbols(value).length > 0) refuseSymbols(value);
  sink.properties(fields === undefined ? value : fieldsOf(value, fields));
}

/** Made without the constructor, which could want anything. */
function readProperties(...[source, claim]: Parameters<ReadKind>): unknown {
  const registered = readClass(source, false);
  if (typeof registered === 'string') {
    source.properties({});
    return registered;
  }
  const instance = Object.create(registered.Class.prototype) as object;
  claim(instance);
  source.properties(instance, true);
  checkFields(instance, registered);
  return instance;
}

function checkFields(instance: object, { Class, fields }: RegisteredClass): void {
  const unknown = fields && Object.keys(instance).find((key) => !fields.includes(key));
  if (unknown === undefined) return;
  throw damaged(`the class ${Class.name} has no field ${JSON.stringify(unknown)} here`);
}

function readEncoded(source: ValueSource): unknown {
  const registered = readClass(source, true);
  const { notes } = source;
  const content = source.read();
  if (typeof registered === 'string') return registered;
  // The program's code must not take a note for its own.
  if (source.notes > notes) {
    return notRead(source, `a part of an instance of ${registered.Class.name} is not known here`);
  }
  const made = decodeContent(content, registered);
  return made.why === undefined ? made.instance : notRead(source, made.why, made.cause);
}

/** The class, or a note where it can't be had. */
function readClass(source: ValueSource, encoded: boolean): RegisteredClass | string {
  if (source.count(MAJOR.array) !== 2) throw damaged('an instance without its two parts');
  const name = source.name('class');
  const registered = classNamed(name);
  if (registered === undefined) {
    if (!source.lenient) throw new UnknownName(name);
    return source.note(name.instanceNote);
  }
  if (encoded === (registered.decode !== undefined)) return registered;
  const [there, here] = encoded ? ['', 'no '] : ['no ', ''];
  const { Class } = registered;
  const why = `class ${Class.name} has ${there}encode over there and ${here}decode here`;
  return notRead(source, why);
}

/** A note inside of an error, which must arrive. */
function notRead(source: ValueSource, why: string, cause?: unknown): string {
  if (source.openErrors > 0 || source.lenient) return source.note(`[not read: ${why}]`);
  throw unreadable(why, cause);
}
