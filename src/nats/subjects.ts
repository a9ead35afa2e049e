/**
 * The subjects that Skein uses. Each names first who receives, then who sends, so that the permissions
 * of a NATS server can confine both: docs/nats.md has the table for those who write them.
 */

/** A part of a subject: `*`, `>` and dots have a meaning of their own. */
const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

export function isToken(text: unknown): text is string {
  return typeof text === 'string' && TOKEN.test(text);
}

/** What a caller may want of a worker; `none` is where the server says that a caller is not there. */
export type Verb = 'link' | 'status' | 'stop' | 'beat' | 'halt' | 'none';

/** A worker, as its address names it. */
export interface WorkerPlace {
  readonly cluster: string;
  /** The identity of the process that it runs in. */
  readonly identity: string;
  readonly id: string;
}

/** Who speaks with a worker, and about what. */
export interface Conversation {
  /** The identity of the caller. */
  readonly caller: string;
  /** Made at random by the caller, which alone knows it, and the worker. */
  readonly channel: string;
}

const ADDRESS = /^(?:beat\+)?nats:\/\/([^/#]+)\/([^/#]+)\/([^/#]+)$/;

/** `nats://CLUSTER/IDENTITY/ID`. It names subjects; on which servers is a matter of who dials it. */
export function formatPlace({ cluster, identity, id }: WorkerPlace): string {
  return `nats://${cluster}/${identity}/${id}`;
}

/**
 * The worker at an address, or the one whose beat it is, without its token.
 *
 * @throws TypeError when it is no address of this kind
 */
export function parsePlace(address: string): WorkerPlace {
  const [, cluster, identity, id] = ADDRESS.exec(address) ?? [];
  if (isToken(cluster) && isToken(identity) && isToken(id)) return { cluster, identity, id };
  throw new TypeError(
    `"${address}" is not the address of a worker on NATS: write nats://cluster/identity/id.`,
  );
}

/** Where a worker hears what its callers want. */
export function toWorker(
  worker: WorkerPlace,
  verb: Verb,
  { caller, channel }: Conversation,
): string {
  return `${ofWorker(worker)}.${verb}.${caller}.${channel}`;
}

/** All of one verb. */
export function verbToWorker(worker: WorkerPlace, verb: Verb): string {
  return `${ofWorker(worker)}.${verb}.*.*`;
}

/** Where a caller hears a worker's answers. */
export function toCaller(
  { cluster, identity }: Pick<WorkerPlace, 'cluster' | 'identity'>,
  { caller, channel }: Conversation,
): string {
  return `skein.${cluster}.caller.${caller}.${identity}.${channel}`;
}

/** Where a caller hears the answers of whichever workers. */
export function anyToCaller(cluster: string, { caller, channel }: Conversation): string {
  return toCaller({ cluster, identity: '*' }, { caller, channel });
}

/** The identity of the worker in the subject of an answer; undefined when it has none. */
export function answeredBy(subject: string): string | undefined {
  const [, , , , identity, channel, more] = subject.split('.');
  return isToken(identity) && isToken(channel) && more === undefined ? identity : undefined;
}

/** The verb and the conversation of a subject that a worker has heard; undefined when it has none. */
export function heardByWorker(subject: string): (Conversation & { verb: string }) | undefined {
  const [, , , , , verb, caller, channel, more] = subject.split('.');
  if (verb === undefined || !isToken(caller) || !isToken(channel) || more !== undefined) {
    return undefined;
  }
  return { verb, caller, channel };
}

/** Where a worker is announced to those who listen to a discovery of this name. */
export function announcement({ cluster, identity, id }: WorkerPlace, discovery: string): string {
  return `skein.${cluster}.announce.${discovery}.${identity}.${id}`;
}

export function allAnnouncements(cluster: string, discovery: string): string {
  return `skein.${cluster}.announce.${discovery}.*.*`;
}

/** The identity of the publisher and the id of the worker in the subject of an announcement. */
export function announcedBy(subject: string): { identity: string; id: string } | undefined {
  const [, , , , identity, id, more] = subject.split('.');
  return isToken(identity) && isToken(id) && more === undefined ? { identity, id } : undefined;
}

/** Where somebody asks who is there; workers answer with what they announce, where a caller hears answers. */
export function question(
  cluster: string,
  discovery: string,
  { caller, channel }: Conversation,
): string {
  return `skein.${cluster}.who.${discovery}.${caller}.${channel}`;
}

export function allQuestions(cluster: string, discovery: string): string {
  return `skein.${cluster}.who.${discovery}.*.*`;
}

/** Who asks; undefined when the subject does not say. */
export function askedBy(subject: string): Conversation | undefined {
  const [, , , , caller, channel, more] = subject.split('.');
  return isToken(caller) && isToken(channel) && more === undefined
    ? { caller, channel }
    : undefined;
}

function ofWorker({ cluster, identity, id }: WorkerPlace): string {
  return `skein.${cluster}.worker.${identity}.${id}`;
}
