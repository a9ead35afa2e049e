/**
 * Instances of the program's classes. On the wire: `[name of the class, content]`, where the content is a
 * map of properties, or whatever the class's `encode` gave.
 */
import { type Decoded, decodeContent, unreadable, writeEncoded } from './class-codec.ts';
import { classNamed, classOf, fieldsOf, type RegisteredClass } from './classes.ts';
import { INSTANCE } from './cost.ts';
import { kind, type ValueSink, type ValueSource } from './kinds.ts';
import { UnknownName } from './names.ts';
import { damaged } from './reader.ts';
import { TAG_INSTANCE } from './tags.ts';
import { refuseSymbols } from './unsupported.ts';
import { MAJOR } from './writer.ts';

const { getPrototypeOf } = Object;

export const instanceKind = kind<object>({
  prototypes: [],
  cost: INSTANCE,
  matches: (value) => classOf(getPrototypeOf(value)) !== undefined,
  write(sink, value) {
    const registered = classOf(getPrototypeOf(value)) as RegisteredClass;
    sink.tag(TAG_INSTANCE);
    sink.head(MAJOR.array, 2);
    sink.name(registered.name);
    writeContent(sink, value, registered);
  },
  read: { [TAG_INSTANCE]: readInstance },
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

function readInstance(source: ValueSource, claim: (value: object) => void): unknown {
  if (source.count(MAJOR.array) !== 2) throw damaged('an instance without its two parts');
  const name = source.name('class');
  const registered = classNamed(name);
  if (registered !== undefined) {
    return registered.decode ? decoded(source, registered) : filled(source, registered, claim);
  }
  if (!source.lenient) throw new UnknownName(name);
  source.read();
  return source.note(`[not known here: an instance of class '${name.name}' of ${name.module}]`);
}

function decoded(source: ValueSource, registered: RegisteredClass): unknown {
  const { notes } = source;
  const content = source.read();
  // The program's code must not take a note for its own.
  const made: Decoded =
    source.notes > notes
      ? { why: `a part of an instance of ${registered.Class.name} is not known here` }
      : decodeContent(content, registered);
  if (made.why === undefined) return made.instance;
  if (source.openErrors > 0 || source.lenient) return source.note(`[not read: ${made.why}]`);
  throw unreadable(made.why, made.cause);
}

/** Made without the constructor, which could want anything. */
function filled(
  source: ValueSource,
  { Class, fields }: RegisteredClass,
  claim: (value: object) => void,
): object {
  const instance = Object.create(Class.prototype) as object;
  claim(instance);
  source.properties(instance, true);
  const unknown = fields && Object.keys(instance).find((key) => !fields.includes(key));
  if (unknown !== undefined) {
    throw damaged(`the class ${Class.name} has no field ${JSON.stringify(unknown)} here`);
  }
  return instance;
}
