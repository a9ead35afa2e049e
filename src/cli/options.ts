/** Options that several commands have, and how their values are read. */
import { InvalidArgumentError, Option } from 'commander';
import { DnsDiscovery } from '../discovery/adapters/dns.ts';
import { LanDiscovery } from '../discovery/adapters/lan.ts';
import { LocalDiscovery } from '../discovery/adapters/local.ts';
import type { DiscoveryLike } from '../discovery/discovery.ts';
import { StaticDiscovery } from '../discovery/static.ts';
import { checked, usage } from './failure.ts';
import type { Nats } from './nats.ts';

export const DISCOVERIES = `Discoveries:
  local:NAME           this machine, and this user
  lan, lan:NAME        the local network, by multicast DNS
  dns:HOST:PORT        all addresses that a name has, as headless services do; dns:HOST with SRV records
  static:ADDR,ADDR     known ones: HOST:PORT, tcp://HOST:PORT, unix:///PATH or nats://CLUSTER/IDENTITY/ID
  nats, nats:NAME      the same NATS servers, given by --nats`;

/** A whole number within these bounds. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number, ${range}.`);
  };
}

export const port = whole(0, 65_535);

/** Seconds as milliseconds: `10`, `0.5`, also `500ms`, `10s`, `2m`, `1h`. */
export function time(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const sizes = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  if (number !== undefined) return Number(number) * sizes[unit as keyof typeof sizes];
  throw new InvalidArgumentError('It must be a time, such as 500ms, 10s or 2m.');
}

/** For an option that can be given several times. */
export function several(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

export const authkeyOption = () =>
  new Option(
    '--authkey <file>',
    'file with the shared secret, - for standard input (default: $SKEIN_AUTHKEY, or none)',
  );

export const discoveryOption = (what: string) => new Option('--discovery <which>', what);

/** @throws Failure when it names no discovery, or NATS where that is not to be reached */
export function discoveryOf(text: string, nats?: Nats): DiscoveryLike {
  const at = text.indexOf(':');
  const kind = at === -1 ? text : text.slice(0, at);
  const rest = at === -1 ? undefined : text.slice(at + 1);
  const option = `--discovery ${text}`;
  return checked(option, () => {
    switch (kind) {
      case 'local':
        if (rest) return new LocalDiscovery(rest);
        break;
      case 'lan':
        if (rest !== '') return new LanDiscovery(rest);
        break;
      case 'dns':
        if (rest) return dns(rest, option);
        break;
      case 'static':
        if (rest) return new StaticDiscovery(rest.split(',').filter(Boolean).map(withScheme));
        break;
      case 'nats':
        if (rest === '') break;
        if (nats) return nats.discovery(rest);
        throw usage(`${option} needs --nats, or the environment variable SKEIN_NATS`);
    }
    throw usage(`${option} names no discovery.\n\n${DISCOVERIES}`);
  });
}

function withScheme(address: string): string {
  return /^[^/]+:\d+$/.test(address) ? `tcp://${address}` : address;
}

function dns(place: string, option: string): DiscoveryLike {
  const [host = '', number, ...more] = place.split(':');
  if (number === undefined) return new DnsDiscovery(host);
  if (more.length > 0 || !/^\d{1,5}$/.test(number)) {
    throw usage(`${option}: it must be dns:HOST:PORT, or dns:HOST`);
  }
  return new DnsDiscovery(host, { port: Number(number) });
}
