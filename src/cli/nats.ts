/** Workers that are reached over NATS. What that takes is loaded only where it is asked for: its client is a package of its own. */
import { Option } from 'commander';
import { isLoopback } from '../discovery/adapters/interfaces.ts';
import type { DiscoveryLike } from '../discovery/discovery.ts';
import type { NatsOptions, NatsTransport } from '../nats/index.ts';
import { checked, usage } from './failure.ts';
import { warn } from './output.ts';

const VARIABLE = 'SKEIN_NATS';

export interface NatsFlags {
  readonly nats?: string;
  readonly natsCreds?: string;
  readonly cluster?: string;
  readonly identity?: string;
}

export interface Nats {
  readonly transport: NatsTransport;
  /** @throws Failure when the name is none */
  discovery(name: string): DiscoveryLike;
  /** Says so where any client of the servers can have code run. */
  warnIfOpen(hasKey: boolean): void;
}

/** It may have a password in it. Processes that are started from now on do not have it. */
export function takeNatsFromEnvironment(): string | undefined {
  const servers = process.env[VARIABLE];
  delete process.env[VARIABLE];
  return servers;
}

export const natsOptions = (what: string): Option[] => [
  new Option(
    '--nats <url>',
    `${what}: nats://HOST:4222, several between commas (default: $SKEIN_NATS, or none)`,
  ),
  new Option('--nats-creds <file>', 'credentials file for these servers'),
  new Option('--cluster <name>', 'what keeps this apart from others on the same servers'),
  new Option('--identity <name>', 'by which permissions of the servers confine this process'),
];

/**
 * How NATS is reached, if that is said.
 *
 * @param fallback what the environment says
 */
export async function natsOf(flags: NatsFlags, fallback?: string): Promise<Nats | undefined> {
  const { nats, natsCreds: credentials, cluster, identity } = flags;
  const servers = nats ?? fallback;
  if (servers === undefined) {
    const [lone] = Object.entries({ '--nats-creds': credentials, cluster, identity }).flatMap(
      ([name, value]) => (value === undefined ? [] : [name.replace(/^(?!--)/, '--')]),
    );
    if (lone === undefined) return undefined;
    throw usage(`${lone} is of no use without --nats, or the environment variable ${VARIABLE}`);
  }
  if (nats?.includes('@')) {
    warn(
      'the login in --nats shows in the list of processes: give it by the environment variable ' +
        `${VARIABLE}, or use --nats-creds`,
    );
  }
  const options = Object.fromEntries(
    Object.entries({ servers, credentials, cluster, identity }).filter(
      ([, value]) => value !== undefined,
    ),
  ) as NatsOptions;
  const { NatsDiscovery, natsTransport } = await import('../nats/index.ts');
  const transport = checked('--nats', () => natsTransport(options));
  // A password is for nobody's eyes.
  const places = servers.split(',').map((one) => one.trim().replace(/^(\w+:\/\/)?.*@/, '$1'));
  const hasLogin = credentials !== undefined || servers.includes('@');
  return {
    transport,
    discovery: (name) =>
      checked(`--discovery nats:${name}`, () => new NatsDiscovery(name, transport)),
    warnIfOpen: (hasKey) => {
      if (hasKey || hasLogin || places.map(hostOf).every(isLoopback)) return;
      warn(
        `whoever may use ${places.join(', ')} can run routines: give it an authkey (see skein --help), ` +
          'or the servers users and permissions (docs/nats.md)',
      );
    },
  };
}

function hostOf(server: string): string {
  return server
    .replace(/^\w+:\/\//, '')
    .replace(/:\d+\/?$/, '')
    .replace(/^\[|\]$/g, '');
}
