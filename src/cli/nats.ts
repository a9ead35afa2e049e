/** Workers that are reached over NATS. What that takes is loaded only where it is asked for: its client is a package of its own. */
import { readFile } from 'node:fs/promises';
import { Option } from 'commander';
import { isLoopback } from '../discovery/adapters/interfaces.ts';
import type { DiscoveryLike } from '../discovery/discovery.ts';
import type { NatsOptions, NatsTransport } from '../nats/index.ts';
import { checked, Failure, usage } from './failure.ts';
import { given } from './given.ts';
import { warn } from './output.ts';

const VARIABLE = 'SKEIN_NATS';

export interface NatsFlags {
  readonly nats?: string;
  readonly natsCreds?: string;
  readonly natsNkey?: string;
  readonly natsCa?: string;
  readonly natsCert?: string;
  readonly natsKey?: string;
  readonly cluster?: string;
  readonly identity?: string;
}

export interface Nats {
  readonly transport: NatsTransport;
  /**
   * Connects, for a command that can do nothing without.
   *
   * @throws Failure that says what is wrong
   */
  connect(): Promise<void>;
  /** @throws Failure when the name is none */
  discovery(name?: string): DiscoveryLike;
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
  new Option('--nats-nkey <file>', 'file with the seed of an nkey for these servers'),
  new Option('--nats-ca <file>', 'certificates of who vouches for these servers: TLS or nothing'),
  new Option('--nats-cert <file>', 'certificate to show to these servers, with --nats-key'),
  new Option('--nats-key <file>', 'key of this certificate'),
  new Option('--cluster <name>', 'what keeps this apart from others on the same servers'),
  new Option('--identity <name>', 'by which permissions of the servers confine this process'),
];

/**
 * How NATS is reached, if that is said.
 *
 * @param fallback what the environment says
 */
export async function natsOf(flags: NatsFlags, fallback?: string): Promise<Nats | undefined> {
  const { nats, natsCreds: credentials, natsNkey, cluster, identity } = flags;
  const servers = nats ?? fallback;
  if (servers === undefined) {
    const lone = natsOptions('')
      .filter((option) => flags[option.attributeName() as keyof NatsFlags] !== undefined)
      .map((option) => option.long);
    if (lone.length === 0) return undefined;
    throw usage(`${lone[0]} is of no use without --nats, or the environment variable ${VARIABLE}`);
  }
  if (nats?.includes('@')) {
    warn(
      'the login in --nats shows in the list of processes: give it by the environment variable ' +
        `${VARIABLE}, or use --nats-creds`,
    );
  }
  const tls = given({ caFile: flags.natsCa, certFile: flags.natsCert, keyFile: flags.natsKey });
  const options: NatsOptions = given({
    servers,
    credentials,
    nkey: natsNkey === undefined ? undefined : await readSeed(natsNkey),
    tls: Object.keys(tls).length > 0 ? tls : undefined,
    cluster,
    identity,
  });
  const { NatsDiscovery, natsTransport } = await import('../nats/index.ts');
  const transport = checked('--nats', () => natsTransport(options));
  // A password is for nobody's eyes.
  const places = servers.split(',').map((one) => one.trim().replace(/^(\w+:\/\/)?.*@/, '$1'));
  const logins = [credentials, natsNkey, flags.natsCert];
  const hasLogin = servers.includes('@') || logins.some((login) => login !== undefined);
  return {
    transport,
    connect: async () => {
      try {
        await transport.bus.open();
      } catch (error) {
        throw new Failure((error as Error).message);
      }
    },
    discovery: (name) =>
      checked(
        `--discovery ${name === undefined ? 'nats' : `nats:${name}`}`,
        () => new NatsDiscovery(name, transport),
      ),
    warnIfOpen: (hasKey) => {
      if (hasKey || hasLogin || places.map(hostOf).every(isLoopback)) return;
      warn(
        `whoever may use ${places.join(', ')} can run routines: give it an authkey (see skein --help), ` +
          'or the servers users and permissions (docs/nats.md)',
      );
    },
  };
}

async function readSeed(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    // What it says may be the seed itself.
    const why = (error as { code?: string }).code;
    throw usage(`--nats-nkey takes the path of a file, and the one given can't be read (${why})`);
  }
}

function hostOf(server: string): string {
  return server
    .replace(/^\w+:\/\//, '')
    .replace(/:\d+\/?$/, '')
    .replace(/^\[|\]$/g, '');
}
