/** Tells the classes of the language, of Node.js and of this package from those of the program. */
import { EventEmitter } from 'node:events';
import * as streams from 'node:stream';
import * as errors from '../errors.ts';

const own = new Set<unknown>([EventEmitter, ...Object.values(streams), ...Object.values(errors)]);

/** Whether the class is written in no JavaScript, so that nobody can see what its instances hold. */
export function isNative(Class: object): boolean {
  return /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(Class));
}

/** Whether the program got the class from its platform. */
export function isOfPlatform(Class: { readonly name: string }): boolean {
  if (isNative(Class) || own.has(Class)) return true;
  // What a program adds there is enumerable, unless it takes pains.
  const found = Object.getOwnPropertyDescriptor(globalThis, Class.name);
  return found?.enumerable === false && Reflect.get(globalThis, Class.name) === Class;
}
