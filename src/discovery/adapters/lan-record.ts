/** What a worker says of itself in the TXT record of its service, as DNS-SD (RFC 6763) has it. */
import type { AnnouncedWorker } from '../discovery.ts';
import { parseAnnounced } from '../metadata.ts';
import { isLoopback, isWildcard } from './interfaces.ts';
import type { Packet } from './lan-socket.ts';

/** The service that workers are. */
export const SERVICE = '_skein._tcp.local';

/** What fits into one packet of a common network, with the other records of the service. */
const MAX_TXT_BYTES = 1_000;
/** Most bytes of an entry, as its length is one byte. */
const MAX_ENTRY_BYTES = 255;
/** What is read: from others there may come more than we would send. */
const MAX_READ_BYTES = 8_192;
const MAX_READ_ENTRIES = 256;

const TCP = /^tcp:\/\/(?<host>\[[^\]]+\]|[A-Za-z0-9._-]+):(?<port>\d{1,5})$/;

export interface Announcement {
  /** Of the discovery that it is for. */
  readonly name: string;
  /** Higher in each announcement that differs from the one before. */
  readonly revision: number;
  readonly worker: AnnouncedWorker;
}

/** Host, without brackets, and port of an address; undefined when it is none that a network knows. */
export function hostAndPort(address: string): { host: string; port: number } | undefined {
  const { host, port } = TCP.exec(address)?.groups ?? {};
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
  return { host: host.startsWith('[') ? host.slice(1, -1) : host, port: Number(port) };
}

/** The worker where it is reached by this host, if it listens on all that its machine has. */
export function withHost(worker: AnnouncedWorker, host: string): AnnouncedWorker {
  const { address, beat } = worker;
  if (!isWildcard(hostAndPort(address)?.host ?? '')) return worker;
  const replace = (text: string) => text.replace(/\/\/(?:0\.0\.0\.0|\[[0:]+\]):/, `//${host}:`);
  return { ...worker, address: replace(address), beat: beat && replace(beat) };
}

/** The name of a worker's service, which has up to 63 bytes and no dots: its uid, or most of it. */
export function labelOf(uid: string): string {
  return uid.slice(0, 63);
}

/** @throws TypeError that says what takes too many bytes */
export function encodeTxt({ name, revision, worker }: Announcement): Record<string, string> {
  const { tags = [], extra = {}, channel = {}, secure, beat } = worker;
  const entries: [string, string][] = [
    ['txtvers', '1'],
    ['name', name],
    ['rev', String(revision)],
    ['uid', worker.uid],
    ['address', worker.address],
    ['pid', String(worker.pid)],
    ['host', worker.host],
    ['version', worker.version],
  ];
  // What follows # is for those alone who are let in.
  if (beat !== undefined && !beat.includes('#')) entries.push(['beat', beat]);
  if (secure) entries.push(['secure', '1']);
  entries.push(...tags.map((tag, index): [string, string] => [`tag.${index}`, tag]));
  for (const [key, value] of Object.entries(extra)) entries.push([`extra.${key}`, value]);
  for (const [key, value] of Object.entries(channel)) {
    if (value !== undefined) entries.push([`channel.${key}`, String(value)]);
  }
  let total = 0;
  for (const [key, value] of entries) {
    const bytes = Buffer.byteLength(`${key}=${value}`);
    total += bytes + 1;
    if (bytes <= MAX_ENTRY_BYTES) continue;
    throw new TypeError(
      `${key} takes ${bytes} bytes, and ${MAX_ENTRY_BYTES} fit into an entry of a TXT record: ` +
        'shorten it',
    );
  }
  // The worker is reached without them, too.
  for (const [index, alternative] of (worker.alternatives ?? []).entries()) {
    const bytes = Buffer.byteLength(`alt.${index}=${alternative}`);
    if (alternative.startsWith('unix:') || bytes > MAX_ENTRY_BYTES) continue;
    if (total + bytes + 1 > MAX_TXT_BYTES) continue;
    total += bytes + 1;
    entries.push([`alt.${index}`, alternative]);
  }
  if (total <= MAX_TXT_BYTES) return Object.fromEntries(entries);
  throw new TypeError(
    `the metadata of a worker may take ${MAX_TXT_BYTES} bytes on a network, and this takes ${total}: ` +
      'announce fewer or shorter tags and entries of extra',
  );
}

/** What is announced under another name, or nothing that is meant for us. */
export class ForOthers extends Error {}

/**
 * @throws ForOthers when it is of another name; TypeError when it can't be read, in words that repeat
 *   nothing of it
 */
export function decodeTxt(data: unknown, name: string): Announcement {
  const fields = readFields(data);
  if (fields.get('name') !== name) throw new ForOthers();
  if (fields.get('txtvers') !== '1') throw new TypeError('it is not of version 1');
  const revision = wholeNumber(fields.get('rev'));
  if (!isSafe(revision)) throw new TypeError('rev must be a whole number');
  const under = (prefix: string) =>
    [...fields].flatMap(([key, value]): [string, string][] =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
    );
  const secure = fields.get('secure');
  const worker = parseAnnounced({
    uid: fields.get('uid'),
    address: fields.get('address'),
    alternatives: under('alt.').map(([, alternative]) => alternative),
    beat: fields.get('beat'),
    pid: wholeNumber(fields.get('pid')),
    host: fields.get('host'),
    version: fields.get('version'),
    tags: under('tag.').map(([, tag]) => tag),
    extra: Object.fromEntries(under('extra.')),
    secure: secure === undefined ? false : secure === '1' || secure,
    channel: Object.fromEntries(under('channel.').map(([key, text]) => [key, wholeNumber(text)])),
  });
  return { name, revision, worker };
}

/**
 * Refuses what a network must not make a program open: its own sockets, and its own ports unless a
 * program on the same machine says so.
 *
 * @throws TypeError in words that repeat nothing of it
 */
export function checkReachable(worker: AnnouncedWorker, sameMachine: boolean): void {
  const { address, alternatives = [], beat } = worker;
  const host = hostAndPort(address)?.host;
  if (host === undefined) throw new TypeError('address must be tcp://host:port');
  if (isWildcard(host)) throw new TypeError('address must name a host, and no wildcard');
  // Of other transports, these alone know what their addresses make a program open.
  if (alternatives.some((other) => /^(?:tcp|unix|memory|beat\+\w+):/.test(other))) {
    throw new TypeError('each of alternatives must be of another transport');
  }
  if (beat !== undefined && !beat.startsWith('beat+tcp://')) {
    throw new TypeError('beat must be beat+tcp://host:port');
  }
  if (sameMachine) return;
  if (isLoopback(host)) throw new TypeError('address is one that its own machine alone can reach');
  const beatHost = beat === undefined ? undefined : hostAndPort(beat.slice('beat+'.length))?.host;
  if (beatHost !== undefined && isLoopback(beatHost)) {
    throw new TypeError('beat is one that its own machine alone can reach');
  }
}

function readFields(data: unknown): ReadonlyMap<string, string> {
  const entries = Array.isArray(data) ? data : [data];
  if (entries.length > MAX_READ_ENTRIES) throw new TypeError('it has too many entries');
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  const fields = new Map<string, string>();
  let total = 0;
  for (const entry of entries) {
    if (!(entry instanceof Uint8Array)) throw new TypeError('it has an entry that is not bytes');
    total += entry.length;
    if (total > MAX_READ_BYTES) throw new TypeError(`it has over ${MAX_READ_BYTES} bytes`);
    let text: string;
    try {
      text = utf8.decode(entry);
    } catch {
      throw new TypeError('it has an entry that is not UTF-8');
    }
    const at = text.indexOf('=');
    // RFC 6763: of several entries with one key the first counts.
    if (at > 0 && !fields.has(text.slice(0, at))) fields.set(text.slice(0, at), text.slice(at + 1));
  }
  return fields;
}

/** The number, or what is there instead of it. */
function wholeNumber(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : text;
}

/** The services that a packet says goodbye to, in small letters. */
export function goodbyes({ answers }: Packet): string[] {
  return answers.flatMap(({ name, type, ttl, data }) => {
    if (type !== 'PTR' || ttl !== 0 || typeof data !== 'string') return [];
    if (name.toLowerCase() !== SERVICE) return [];
    const fqdn = data.toLowerCase();
    return fqdn.endsWith(`.${SERVICE}`) ? [fqdn.slice(0, -SERVICE.length - 1)] : [];
  });
}

function isSafe(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
