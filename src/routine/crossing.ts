/** The chain of the code that calls, on its way with the call. */
import type { Chain } from '../context/chain.ts';
import type { OutboundContext } from '../context/outbound.ts';
import { chainOf, enterChain } from '../context/scope.ts';
import { causedBy } from '../context/strictness.ts';
import { hasVariables } from '../context/variable.ts';
import { ChainSerializationError } from '../errors.ts';
import { loading, type Patience, patiently } from './loading.ts';
import type { Scope } from './task.ts';
import type { ModulePolicy } from './whereabouts.ts';

/**
 * The chain that goes along with a call, made if need be: what the routine sets comes back to it. None
 * outside of any scope where this process has no context variables, so that programs without them pay
 * nothing.
 */
export function presentChain(scope: Scope | undefined): Chain | undefined {
  if (scope !== undefined) return chainOf(scope);
  return hasVariables() ? enterChain() : undefined;
}

/** Kept aside, as nearly all answers come from workers that the process trusts. */
const policies = new WeakMap<OutboundContext, ModulePolicy>();

/** Says which modules are imported since values name them that an answer brings. Default: as for the process. */
export function restrict(context: OutboundContext, policy: ModulePolicy): void {
  policies.set(context, policy);
}

/**
 * Takes what an answer brings for the chain.
 *
 * @throws ChainSerializationError, also by the promise, when context is strict and a value can't be read
 */
export function conclude(
  context: OutboundContext,
  patience: () => Patience,
): Promise<void> | undefined {
  return context.conclude((read) => {
    const given = loading(read, policies.get(context));
    return given instanceof Promise ? patiently(given, patience()) : given;
  });
}

/** As `conclude`, for a call that failed; gives what it fails with. */
export async function concludeFailed(
  context: OutboundContext,
  error: unknown,
  patience: () => Patience,
): Promise<unknown> {
  try {
    await conclude(context, patience);
    return error;
  } catch (failure) {
    return failure instanceof ChainSerializationError ? causedBy(failure, error) : failure;
  }
}
