/** What is said of a worker on the bus: JSON, checked and bounded on both sides. */
import { isLoopback, isWildcard } from '../discovery/adapters/interfaces.ts';
import { hostAndPort } from '../discovery/adapters/lan-record.ts';
import type { AnnouncedWorker } from '../discovery/discovery.ts';
import { parseAnnounced } from '../discovery/metadata.ts';
import { isToken, parsePlace, type WorkerPlace } from './subjects.ts';

/** Longest announcement, so that many of them take little memory. */
export const MAX_ANNOUNCEMENT_BYTES = 8_192;
const VERSION = 1;

export interface Announcement {
  /** Higher in each announcement of a worker that differs from the one before. */
  readonly revision: number;
  readonly worker: AnnouncedWorker;
}

/** A worker goes. */
export interface Goodbye {
  /** Its uid. */
  readonly gone: string;
  /** Above that of what was announced; undefined: another than who announced it says so. */
  readonly revision: number | undefined;
}

/** Who speaks for a worker, as the subject says, which a server's permissions can hold them to. */
export interface Speaker {
  readonly cluster: string;
  readonly identity: string;
}

/** @throws TypeError when it is too long */
export function encodeAnnouncement({ revision, worker }: Announcement): Uint8Array {
  const { beat, ...told } = worker;
  // What follows # is for those alone who are let in.
  const shown = beat === undefined || beat.includes('#') ? told : worker;
  const bytes = Buffer.from(JSON.stringify({ v: VERSION, rev: revision, worker: shown }));
  if (bytes.length <= MAX_ANNOUNCEMENT_BYTES) return bytes;
  throw new TypeError(
    `the metadata of a worker may take ${MAX_ANNOUNCEMENT_BYTES} bytes on NATS, and this takes ` +
      `${bytes.length}: announce fewer or shorter tags and entries of extra`,
  );
}

export function encodeGoodbye({ gone, revision }: Goodbye): Uint8Array {
  return Buffer.from(JSON.stringify({ v: VERSION, rev: revision, gone }));
}

/** @throws TypeError when it can't be read, in words that repeat nothing of it */
export function decodeRecord(data: Uint8Array): Announcement | Goodbye {
  if (data.length > MAX_ANNOUNCEMENT_BYTES) {
    throw new TypeError(`it has over ${MAX_ANNOUNCEMENT_BYTES} bytes`);
  }
  const { v, rev, gone, worker } = readObject(data);
  if (v !== VERSION) throw new TypeError(`it is not of version ${VERSION}`);
  if (gone === undefined) return { revision: wholeNumber(rev), worker: parseAnnounced(worker) };
  if (!isToken(gone)) throw new TypeError('gone must be the uid of a worker');
  return { gone, revision: rev === undefined ? undefined : wholeNumber(rev) };
}

/**
 * The last part of the subject that a worker is announced on: the id in its address on NATS or, where it
 * has none, its uid. Undefined when an address of it belongs to somebody else than this speaker.
 */
export function idFor(worker: AnnouncedWorker, { cluster, identity }: Speaker): string | undefined {
  const { uid, address, alternatives = [], beat } = worker;
  const addresses = [address, ...alternatives, ...(beat === undefined ? [] : [beat])];
  const places = addresses.filter((one) => /^(beat\+)?nats:/.test(one)).map(placeOf);
  const [first] = places;
  if (places.length === 0) return uid;
  const own = places.every(
    (place) => place?.cluster === cluster && place.identity === identity && place.id === first?.id,
  );
  return own ? first?.id : undefined;
}

/**
 * The worker with those addresses only that can be reached from where this process runs; undefined when
 * none can. So nobody has it try ports of its own machine.
 *
 * @param host the machine's name, as its own workers say it
 */
export function asSeenFrom(host: string, worker: AnnouncedWorker): AnnouncedWorker | undefined {
  if (worker.host === host) return worker;
  const { address: first, alternatives = [], beat, ...rest } = worker;
  const [address, ...others] = [first, ...alternatives].filter(isForOthers);
  if (address === undefined) return undefined;
  return {
    ...rest,
    address,
    ...(others.length > 0 && { alternatives: others }),
    // It is that of the first address.
    ...(beat !== undefined && address === first && isForOthers(beat) && { beat }),
  };
}

/** Whether other machines than its own can reach the address. */
export function isForOthers(address: string): boolean {
  const place = address.replace(/^beat\+/, '').replace(/#.*$/, '');
  if (place.startsWith('unix:')) return false;
  const host = hostAndPort(place)?.host;
  return host === undefined || !(isLoopback(host) || isWildcard(host));
}

function placeOf(address: string): WorkerPlace | undefined {
  try {
    return parsePlace(address.replace(/#.*$/, ''));
  } catch {
    return undefined;
  }
}

function readObject(data: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch {
    throw new TypeError('it is not JSON in UTF-8');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new TypeError('it is not an object of JSON');
}

function wholeNumber(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new TypeError('rev must be a whole number');
}
