/** What the instances of a class have beside the properties that travel, which would be lost. */
import { ClassRegistrationError } from '../errors.ts';
import type { AnyClass } from '../wire/classes.ts';
import { isNative } from './built-in.ts';
import { privateMethods, withBases } from './methods.ts';
import { privateNames } from './private-names.ts';

const GIVE_CODEC =
  'say what travels by registerClass(Class, { encode: (instance) => ..., decode: (value) => ... })';

/**
 * Checks a class whose instances travel by their properties.
 *
 * @param fields those that travel, where it names them
 * @throws ClassRegistrationError when its instances have more than that, or a field is none
 */
export function checkState(
  Class: object,
  fields: readonly string[] | undefined,
  name: string,
): void {
  const classes = [...withBases(Class)];
  const builtIn = classes.find(isNative) as AnyClass | undefined;
  const isPlain = builtIn === undefined || builtIn === Error || builtIn === Object;
  if (!isPlain && !(builtIn.prototype instanceof Error)) {
    throw new ClassRegistrationError(
      `the class '${name}' extends ${builtIn.name}, whose content is no property of an instance: ${GIVE_CODEC}`,
    );
  }
  if (fields !== undefined) {
    checkFields(fields, classes, name);
    return;
  }
  // Compilers take private methods that have a decorator out of the class.
  const hidden = new Set(privateNames(classes.filter((one) => !isNative(one))));
  for (const method of privateMethods(Class)) hidden.add(`${method}()`);
  if (hidden.size > 0) {
    throw new ClassRegistrationError(
      `the class '${name}' has private ${[...hidden].join(', ')}, which only its constructor gives to an instance: ${GIVE_CODEC}`,
    );
  }
}

/** Refuses names of what no instance has as a property of its own, and so would stay behind. */
function checkFields(fields: readonly string[], classes: readonly object[], name: string): void {
  for (const { prototype } of classes.filter((one) => !isNative(one)) as AnyClass[]) {
    for (const field of fields) {
      const found = Object.getOwnPropertyDescriptor(prototype, field);
      if (found === undefined || ('value' in found && typeof found.value !== 'function')) continue;
      const what = 'value' in found ? 'a method' : 'a getter or setter';
      throw new ClassRegistrationError(
        `the class '${name}' lists '${field}' in fields, which is ${what} and no property of its instances: ` +
          `list the properties behind it, or ${GIVE_CODEC}`,
      );
    }
  }
}
