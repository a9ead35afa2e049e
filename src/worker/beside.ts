/** The transports of a worker beside gRPC: how they are made, and listened on. */
import type { AuthkeyGiven } from '../security/authkey.ts';
import type { Transport, TransportRecipe } from '../transport/transport.ts';
import type { AlsoBeat } from './beat-thread.js';
import type { WorkerCore } from './core.ts';
import type { Place } from './place.ts';

export interface Beside {
  /** In the order of the transports. */
  readonly places: readonly Place[];
  /** What the thread of the beat has to serve there. */
  readonly also: readonly AlsoBeat[];
}

/** With one authkey for all, if there is one. */
export function guardAll(
  transports: readonly Transport[],
  authkey: AuthkeyGiven | undefined,
): readonly Transport[] {
  if (authkey === undefined) return transports;
  return transports.map((transport) => transport.guarded(authkey));
}

/** @throws Error that says which module does not load, or does not make a transport */
export async function makeTransports(recipes: readonly TransportRecipe[]): Promise<Transport[]> {
  return await Promise.all(
    recipes.map(async ({ module, options }) => {
      const loaded = (await import(module)) as {
        transportOf?: (options: unknown) => Transport | Promise<Transport>;
      };
      if (typeof loaded.transportOf === 'function') return await loaded.transportOf(options);
      throw new TypeError(`the recipe of a transport: ${module} exports no transportOf(options)`);
    }),
  );
}

/**
 * Has the worker listen on each of them.
 *
 * @throws ListenError when one can't
 */
export async function listenBeside(
  core: Pick<WorkerCore, 'listen'>,
  transports: readonly Transport[],
): Promise<Beside> {
  const places: Place[] = [];
  const also: AlsoBeat[] = [];
  for (const transport of transports) {
    const place = await core.listen(transport.anywhere);
    places.push(place);
    const beat = transport.beat?.(place.address);
    if (beat === undefined) continue;
    place.beat = beat.address;
    also.push({ module: beat.module, setup: beat.setup });
  }
  return { places, also };
}
