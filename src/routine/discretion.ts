/** What a worker with `exposeStacks: false` keeps to itself. */
import { hidePaths } from '../security/paths.ts';
import { withoutStacks } from '../wire/codec.ts';
import type { Encoded } from '../wire/value.ts';
import type { Definition } from './definition.ts';
import type { Dispatcher } from './dispatcher.ts';

/** Frames that a program has copied out of a stack. */
const FRAMES = /(?:^|\n) {4}at [^\n]*/g;

const discreet = (text: string) => hidePaths(text.replace(FRAMES, ''));

/**
 * Runs what encodes values for a peer.
 *
 * @param exposeStacks whether errors take their stacks along; without, their texts name no absolute paths
 * of this machine, either
 */
export function exposing<T>(exposeStacks: boolean | undefined, encode: () => T): T {
  return exposeStacks === false ? withoutStacks(discreet, encode) : encode();
}

/** The arguments of a call, for where it goes. */
export function encodeFor(
  { exposeStacks }: Pick<Dispatcher, 'exposeStacks'>,
  definition: Definition,
  args: readonly unknown[],
): Encoded {
  if (exposeStacks !== false) return definition.encode(args);
  return exposing(false, () => definition.encode(args));
}
