/**
 * How pools find workers that they did not spawn. An implementation tells which workers there are, and
 * what changes; whether they answer, and as what, is found out on the link.
 */

/** What a client must know of a worker's channel before it opens one. Left out: the transport's default. */
export interface ChannelOptions {
  /** Largest value that it takes, in bytes. */
  readonly maxValueBytes?: number | undefined;
  /** Largest message of the transport, in bytes. */
  readonly maxMessageBytes?: number | undefined;
  /** Milliseconds of silence after which a client asks whether the connection lives. */
  readonly keepaliveMs?: number | undefined;
  /** Milliseconds that it waits for the answer. */
  readonly keepaliveTimeoutMs?: number | undefined;
  /** Tasks that it runs at a time. */
  readonly concurrency?: number | undefined;
}

/** What a worker says of itself to whoever connects. A property that is undefined is not known. */
export interface WorkerAbout {
  /**
   * Where a thread answers for its process while its event loop is blocked, for those who connect at
   * `address`. To others the worker itself says where.
   */
  readonly beat?: string | undefined;
  readonly pid?: number | undefined;
  /** Name of the machine that it runs on. */
  readonly host?: string | undefined;
  /** Version of Skein that it runs, e.g. `0.1.0`. */
  readonly version?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** What its owner says of it beyond that. */
  readonly extra?: Readonly<Record<string, string>> | undefined;
  /** Whether it takes encrypted connections only. */
  readonly secure?: boolean | undefined;
  readonly channel?: ChannelOptions | undefined;
}

/**
 * What is known of a worker. Of one that was found by its address alone, the worker itself must be asked
 * for the rest.
 */
export interface WorkerMetadata extends WorkerAbout {
  /** New at every start of the worker. */
  readonly uid?: string | undefined;
  /** Where it listens, e.g. `tcp://10.0.0.7:4000`. */
  readonly address: string;
  /**
   * Other addresses of the same worker, over other transports: up to 4. They are tried, in this order, where
   * `address` does not connect.
   */
  readonly alternatives?: readonly string[] | undefined;
}

/** What a worker says of itself. */
export interface AnnouncedWorker extends WorkerMetadata {
  readonly uid: string;
  readonly pid: number;
  readonly host: string;
  readonly version: string;
}

export type DiscoveryEventType = 'worker-added' | 'worker-updated' | 'worker-dropped';

/** A change of the workers that there are; `worker-dropped` has what was last known. */
export interface DiscoveryEvent {
  readonly type: DiscoveryEventType;
  readonly worker: WorkerMetadata;
}

export interface DiscoveryPublisher {
  /**
   * The host that a worker should listen on, for those to reach it that find it here. Undefined: it
   * makes no difference.
   */
  readonly bindHost?: string | undefined;
  /**
   * Announces a worker, a change of its metadata, or that it goes. Resolves when subscribers can see it.
   * A worker that is added twice is updated; one that is not there is dropped in silence.
   *
   * @throws TypeError (as a rejection) that names the property which is wrong
   */
  publish(event: DiscoveryEventType, worker: AnnouncedWorker): Promise<void>;
}

/**
 * Tells which workers there are. Anything of this shape can be given to a pool; the checks of
 * `discoveryContract` in `skein/testing` say the same in a form that runs.
 */
export interface DiscoveryLike {
  /** Absent where workers can't be announced, since somebody else keeps the list. */
  readonly publisher?: DiscoveryPublisher | undefined;
  /**
   * The workers that are there now, as `worker-added`, and then what changes, in order: for each worker
   * one `worker-added`, any number of `worker-updated`, and one `worker-dropped`.
   *
   * Each iteration is a subscription of its own. It begins with the iterator, ends with its `return`
   * (as `break` calls it), and keeps no process alive. What it finds and can't read is left out; it
   * fails only when nothing can be found at all.
   *
   * @param filter which workers to tell of. One that comes to match is added, one that ceases to is
   *   dropped. Default: all
   */
  subscribe(filter?: WorkerFilter): AsyncIterable<DiscoveryEvent>;
}

export type WorkerFilter = (worker: WorkerMetadata) => boolean;

/** What tells two workers apart: the uid or, while it is not known, the address. */
export function workerKey({ uid, address }: WorkerMetadata): string {
  return uid ?? address;
}
