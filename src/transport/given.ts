/** What users give as `transport`. */
import { schemeOf, type Transport } from './transport.ts';

/** gRPC on Unix sockets or on TCP, or another transport. */
export type TransportGiven = 'unix' | 'tcp' | Transport;

export interface TakenTransports {
  /** How gRPC was named; undefined when it was not. */
  readonly grpc: 'unix' | 'tcp' | undefined;
  readonly others: readonly Transport[];
}

/** Of gRPC, of the beats beside it, and of a worker's way to itself. */
const RESERVED = ['tcp', 'unix', 'beat+tcp', 'beat+unix', 'memory'];

/**
 * What was given, in order.
 *
 * @throws TypeError that says what is wrong with it
 */
export function takeTransports(
  given: TransportGiven | readonly TransportGiven[] | undefined,
): TakenTransports {
  if (given === undefined) return { grpc: undefined, others: [] };
  const all: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (all.length === 0) {
    throw new TypeError('transport is an empty array: name a transport, or leave the option out');
  }
  let grpc: TakenTransports['grpc'];
  const others: Transport[] = [];
  for (const one of all) {
    if (one === 'unix' || one === 'tcp') {
      if (grpc !== undefined) {
        throw new TypeError("transport names gRPC twice: give 'unix' or 'tcp', and once");
      }
      grpc = one;
    } else {
      checkTransport(one);
      checkSchemes(one, others);
      others.push(one);
    }
  }
  return { grpc, others };
}

/**
 * For workers that a pool spawns, which make the transports themselves.
 *
 * @throws TypeError when one can't be made elsewhere
 */
export function checkRecipes(transports: readonly Transport[]): void {
  for (const { anywhere, recipe } of transports) {
    const what = `the transport for ${schemeOf(anywhere)}:// is not for spawned workers`;
    if (recipe === undefined) throw new TypeError(`${what}: it has no recipe to make it from`);
    if (typeof recipe.module !== 'string' || recipe.module === '') {
      throw new TypeError(`${what}: recipe.module must be the URL of a module`);
    }
    try {
      JSON.stringify(recipe.options);
    } catch (cause) {
      throw new TypeError(`${what}: recipe.options must be what JSON can hold`, { cause });
    }
  }
}

function checkTransport(value: unknown): asserts value is Transport {
  if (typeof value === 'function') {
    const { name } = value;
    throw new TypeError(`transport is a function: write ${name || 'it'}(...), which makes one`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(
      "transport must be 'unix', 'tcp', a transport such as natsTransport(...) of skein/nats, or an " +
        `array of these, not ${typeof value === 'string' ? `'${value}'` : String(value)}`,
    );
  }
  const { schemes, anywhere } = value as Partial<Transport>;
  for (const name of ['connect', 'listen', 'guarded'] as const) {
    if (typeof (value as Partial<Transport>)[name] === 'function') continue;
    throw new TypeError(`transport is an object without ${name}(), and so none`);
  }
  const isList = Array.isArray(schemes) && schemes.every((scheme) => typeof scheme === 'string');
  if (!isList || schemes.length === 0) {
    throw new TypeError('transport must have schemes, an array of texts');
  }
  if (typeof anywhere !== 'string' || !schemes.includes(schemeOf(anywhere))) {
    throw new TypeError('transport must have anywhere, an address with one of its schemes');
  }
}

function checkSchemes({ schemes }: Transport, others: readonly Transport[]): void {
  for (const scheme of schemes) {
    if (RESERVED.includes(scheme)) {
      throw new TypeError(
        `a transport of its own can't serve ${scheme}://: for gRPC write 'tcp' or 'unix'`,
      );
    }
    if (others.some((other) => other.schemes.includes(scheme))) {
      throw new TypeError(`transport has two for the scheme ${scheme}: give one of them`);
    }
  }
}
