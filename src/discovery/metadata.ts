/** Metadata of workers from outside: whoever wrote it may have meant harm, or another version. */
import type { AnnouncedWorker, ChannelOptions, WorkerAbout, WorkerMetadata } from './discovery.ts';

/** Longest uid, in characters. */
export const MAX_UID_LENGTH = 64;
/** Longest text of metadata, in characters. */
const MAX_TEXT_LENGTH = 1_024;
/** Most tags, and most entries of `extra`. */
const MAX_ENTRIES = 64;

const UID = new RegExp(`^[A-Za-z0-9_-]{1,${MAX_UID_LENGTH}}$`);
const ADDRESS = /^[a-z][a-z0-9+.-]*:\/\/[^\s]+$/;
const KEY = /^[A-Za-z0-9._-]{1,64}$/;
/** Most addresses beside the first. */
const MAX_ALTERNATIVES = 4;
/** It would reach terminals. */
const CONTROL = /\p{Cc}/u;

const channelOptions = [
  'maxValueBytes',
  'maxMessageBytes',
  'keepaliveMs',
  'keepaliveTimeoutMs',
  'concurrency',
] as const satisfies readonly (keyof ChannelOptions)[];

export type Fields = Readonly<Record<string, unknown>>;

/**
 * A copy of metadata with nothing in it but what is known here, always in the same order.
 *
 * @throws TypeError that names the property which is wrong, and repeats nothing of its value
 */
export function parseMetadata(value: unknown): WorkerMetadata {
  if (!isObject(value)) throw new TypeError('the metadata of a worker must be an object');
  const { address, alternatives, uid } = value;
  if (address === undefined) throw new TypeError('address is missing');
  return defined({
    uid: optional(uid, (uid) => matching('uid', uid, UID, 'up to 64 letters, digits, _ and -')),
    address: addressOf('address', address),
    alternatives: optional(alternatives, parseAlternatives),
    ...parseAbout(value),
  });
}

/**
 * The same for what a worker says of itself in its Hello.
 *
 * @throws TypeError that names the property which is wrong, and repeats nothing of its value
 */
export function parseAbout(value: Fields): WorkerAbout {
  const { beat, pid, host, version, tags, extra, secure, channel } = value;
  return defined({
    beat: optional(beat, (beat) => addressOf('beat', beat)),
    pid: optional(pid, (pid) => whole('pid', pid)),
    host: optional(host, (host) => text('host', host)),
    version: optional(version, (version) => text('version', version)),
    tags: optional(tags, parseTags),
    extra: optional(extra, parseExtra),
    secure: optional(secure, parseSecure),
    channel: optional(channel, parseChannel),
  });
}

/**
 * The same for what a worker says of itself, in full: the properties that it may leave out have their
 * defaults.
 *
 * @throws TypeError that names the property which is wrong or missing
 */
export function parseAnnounced(value: unknown): AnnouncedWorker {
  const worker = parseMetadata(value);
  const { uid, pid, host, version, tags = [], extra = {}, secure = false, channel = {} } = worker;
  if (uid === undefined) throw new TypeError('uid is missing');
  if (pid === undefined) throw new TypeError('pid is missing');
  if (host === undefined) throw new TypeError('host is missing');
  if (version === undefined) throw new TypeError('version is missing');
  const { address, alternatives, beat } = worker;
  return defined({
    uid,
    address,
    alternatives,
    beat,
    pid,
    host,
    version,
    tags,
    extra,
    secure,
    channel,
  });
}

/** Whether two that were parsed say the same. */
export function sameMetadata(one: WorkerMetadata, other: WorkerMetadata): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function optional<T>(value: unknown, parse: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : parse(value);
}

/** Without the properties that are undefined. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, value]) => value !== undefined)) as T;
}

function text(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT_LENGTH) {
    throw new TypeError(`${name} must be a text of 1 to ${MAX_TEXT_LENGTH} characters`);
  }
  if (CONTROL.test(value)) throw new TypeError(`${name} must have no control characters`);
  return value;
}

function matching(name: string, value: unknown, pattern: RegExp, what: string): string {
  const result = text(name, value);
  if (!pattern.test(result)) throw new TypeError(`${name} must be ${what}`);
  return result;
}

function addressOf(name: string, value: unknown): string {
  return matching(name, value, ADDRESS, 'an address, such as tcp://host:port');
}

/** None of them is the same as to leave them out. */
function parseAlternatives(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_ALTERNATIVES) {
    throw new TypeError(`alternatives must be an array of up to ${MAX_ALTERNATIVES} addresses`);
  }
  if (value.length === 0) return undefined;
  return value.map((address) => addressOf('each of alternatives', address));
}

function whole(name: string, value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1) {
    throw new TypeError(`${name} must be a whole number of 1 or more`);
  }
  return value as number;
}

function parseTags(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_ENTRIES) {
    throw new TypeError(`tags must be an array of up to ${MAX_ENTRIES} texts`);
  }
  return value.map((tag) => text('each of tags', tag));
}

function parseExtra(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value) || Object.keys(value).length > MAX_ENTRIES) {
    throw new TypeError(`extra must be an object of up to ${MAX_ENTRIES} texts`);
  }
  const entries = Object.entries(value).map(([key, value]) => {
    if (!KEY.test(key))
      throw new TypeError('a key of extra must be up to 64 letters, digits, . _ -');
    return [key, text('each of extra', value)] as const;
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function parseSecure(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError('secure must be true or false');
  return value;
}

function parseChannel(value: unknown): ChannelOptions {
  if (!isObject(value)) throw new TypeError('channel must be an object');
  const option = (name: string) =>
    optional(value[name], (value) => whole(`channel.${name}`, value));
  return defined(Object.fromEntries(channelOptions.map((name) => [name, option(name)])));
}
