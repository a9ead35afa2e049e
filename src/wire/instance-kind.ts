/**
 * Instances of the program's classes. On the wire: `[name of the class, content]`, where the content is a
 * map of properties, or whatever the class's `encode` gave.
 */
import { classNamed, classOf, fieldsOf, isInstance, type RegisteredClass } from './classes.ts';
import { INSTANCE } from './cost.ts';
import { kind, type ValueSink, type ValueSource } from './kinds.ts';
import { UnknownName } from './names.ts';
import { damaged } from './reader.ts';
import { messageOf, Refusal, within } from './refusal.ts';
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
  const { fields, encode, Class } = registered;
  if (encode === undefined) {
    if (Object.getOwnPropertySymbols(value).length > 0) refuseSymbols(value);
    sink.properties(fields === undefined ? value : fieldsOf(value, fields));
    return;
  }
  let content: unknown;
  try {
    content = encode(value as never);
  } catch (error) {
    const why = `the class's own encode failed (${messageOf(error)})`;
    throw new Refusal(`an instance of ${Class.name}`, why, error);
  }
  try {
    sink.openInstances.push(value);
    sink.write(content);
    sink.openInstances.pop();
  } catch (error) {
    throw within(error, '.encode()');
  }
}

function readInstance(source: ValueSource, claim: (value: object) => void): unknown {
  if (source.count(MAJOR.array) !== 2) throw damaged('an instance without its two parts');
  const name = source.name('class');
  const registered = classNamed(name);
  if (registered !== undefined) {
    return registered.decode
      ? decoded(source.read(), registered)
      : filled(source, registered, claim);
  }
  if (!source.lenient) throw new UnknownName(name);
  source.read();
  return `[not known here: an instance of class '${name.name}' of ${name.module}]`;
}

function decoded(content: unknown, { Class, decode }: RegisteredClass): object {
  let instance: unknown;
  try {
    instance = decode?.(content as never);
  } catch (error) {
    throw damaged(`the class ${Class.name} failed to decode it (${messageOf(error)})`, error);
  }
  if (!isInstance(instance, Class)) {
    throw damaged(`the decode of class ${Class.name} gave no instance of it`);
  }
  return instance;
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
