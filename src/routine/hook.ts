/** Routines whose plain function each worker of a pool runs by itself: hooks. */
import { isInlineRoutine } from '../wire/inline-kind.ts';
import { nameOf } from '../wire/names.ts';
import { lookup } from './registry.ts';

/** How a worker finds a hook. */
export interface HookName {
  readonly module: string;
  readonly name: string;
}

/**
 * @param option what the hook is given as
 * @throws TypeError when it is no routine of a function in a module
 */
export function hookName(option: string, hook: unknown): HookName {
  const refuse = (why: string) => {
    throw new TypeError(`${option} ${why}`);
  };
  if (typeof hook !== 'function') {
    return refuse(`must be a routine, made by routine(fn), not ${String(hook)}`);
  }
  if (isInlineRoutine(hook)) {
    return refuse('must be a routine that workers import, made by routine(fn), not by value');
  }
  const name = nameOf(hook);
  if (name?.kind !== 'routine') {
    return refuse(
      `must be a routine, made by routine(fn) when its module loads, not a plain function`,
    );
  }
  const known = lookup(name.module, name.name);
  if (known?.generator) return refuse('must be a routine of a function, not of a generator');
  if (known?.method) return refuse('must be a routine of a function, not of a method');
  return { module: name.module, name: name.name };
}
