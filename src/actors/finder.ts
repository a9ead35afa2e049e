/**
 * Takes the workers that a discovery names into a proxy: those that a pool wants, as many as it may have.
 * Whether one that is named is there, and is what it was said to be, shows on the link to it.
 */
import {
  type DiscoveryEvent,
  type DiscoveryLike,
  type WorkerMetadata,
  workerKey,
} from '../discovery/discovery.ts';
import { parseMetadata } from '../discovery/metadata.ts';
import type { Env, Timer } from '../env.ts';
import { AuthenticationError, LimitExceeded } from '../errors.ts';
import type { WorkerPlace } from '../transport/probe.ts';
import { CannotAsk, type CloseReason, schemeOf } from '../transport/transport.ts';
import type { WorkerAddress } from './peer.ts';
import type { ProxyEvent } from './proxy.ts';
import { WorkerWarnings } from './worker-warnings.ts';

export interface FinderOptions {
  readonly env: Env;
  readonly discovery: DiscoveryLike;
  /** What the proxy is told. */
  readonly send: (event: ProxyEvent) => void;
  /** Asks the worker at a place what it is, where discovery knows no more of it. */
  readonly probe: (place: WorkerPlace) => Promise<WorkerMetadata>;
  /** Whether the pool wants the worker. Default: each. */
  readonly accept?: ((worker: WorkerMetadata) => boolean) | undefined;
  /** As many workers are taken at a time. Default: Infinity. */
  readonly lease?: number | undefined;
  /** Workers that the proxy knows without discovery. Default: none. */
  readonly own?: (uid: string) => boolean;
  /** Why none of the addresses of a worker can be dialed from here. Default: one can. */
  readonly unserved?: (place: WorkerPlace) => string | undefined;
  /**
   * Whether links over gRPC are by TLS: workers that announce the other are left out, as no link to them
   * would come up. Default: it is not looked at.
   */
  readonly secure?: boolean | undefined;
  /** `isHopeless` has become true. */
  readonly despair?: () => void;
  /** The version of Skein here: a worker of another one is left out. */
  readonly version: string;
  /** Something that people should know; of one worker at most once a minute. */
  readonly warn: (message: string) => void;
}

/** A worker that discovery names. */
interface Candidate {
  metadata: WorkerMetadata;
  /** Known when it was found by its address alone, and has answered. */
  answer: WorkerMetadata | undefined;
  /**
   * `new`: to be looked at; `asked`: it was asked what it is; `ready`: wanted, and there was no place yet;
   * `taken`: the proxy has it; `out`: not wanted, or not to be used as long as nothing changes.
   */
  state: 'new' | 'asked' | 'ready' | 'taken' | 'out';
  failures: number;
  timer: Timer | undefined;
  /** What is wrong with it, for people; empty for nothing. */
  warned: string;
  /** Why it is not trusted, or does not trust this side. */
  distrust: AuthenticationError | undefined;
  /** Which of its limits it has turned this side away for last. */
  exceeded: LimitExceeded | undefined;
  /** Its link was up. */
  met: boolean;
}

/** The pause after a first failure, and the longest, in milliseconds. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export class Finder {
  readonly #options: FinderOptions;
  readonly #lease: number;
  readonly #candidates = new Map<string, Candidate>();
  /** Those that the proxy has, by their uid. */
  readonly #taken = new Map<string, Candidate>();
  /** Wanted ones that found no place, the longest waiting first. */
  readonly #ready = new Set<Candidate>();
  /** Of those that the proxy has, the ones whose links did not come up. */
  readonly #silent = new Set<Candidate>();
  /** Those that can't be reached for a reason on this side. */
  readonly #hopeless = new Set<Candidate>();
  readonly #warnings: WorkerWarnings;
  readonly #began: Promise<void>;
  #settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #events: AsyncIterator<DiscoveryEvent> | undefined;
  #pause: Timer | undefined;
  #failure: unknown;
  #failures = 0;
  #over = false;

  constructor(options: FinderOptions) {
    this.#options = options;
    this.#warnings = new WorkerWarnings(options.env, options.warn);
    this.#lease = options.lease ?? Number.POSITIVE_INFINITY;
    this.#began = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Not everybody waits for it.
    this.#began.catch(() => {});
  }

  /** Begins to look, and goes on until `stop`. */
  start(): void {
    void this.#listen();
  }

  /** Resolves with the first word of the discovery, and rejects with what it fails with before. */
  get began(): Promise<void> {
    return this.#began;
  }

  /** Ends the subscription. The proxy keeps the calls of workers that were taken, and gets no more of them. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#pause?.cancel();
    for (const key of [...this.#candidates.keys()]) this.#drop(key);
    this.#warnings.end();
    this.#settle?.resolve();
    // Whether the discovery ends in peace matters to nobody any more.
    void Promise.resolve(this.#events?.return?.()).catch(() => {});
  }

  /** The workers that discovery names, as far as they are known; also those that the pool does not take. */
  get workers(): readonly WorkerMetadata[] {
    return [...this.#candidates.values()].map(knownOf);
  }

  /** The workers that the proxy was given. */
  get taken(): readonly WorkerAddress[] {
    return [...this.#taken.values()].map((candidate) => addressOf(knownOf(candidate)));
  }

  /** What is known of a worker that was taken. */
  metadata(uid: string): WorkerMetadata | undefined {
    const candidate = this.#taken.get(uid);
    return candidate && knownOf(candidate);
  }

  /** Whether no worker that is named can be reached, for reasons on this side: to wait helps only if others come. */
  get isHopeless(): boolean {
    return this.#hopeless.size > 0 && this.#hopeless.size === this.#candidates.size;
  }

  /** Where it is hopeless: why one of the workers is not trusted, or does not trust this side, if one is so. */
  get distrust(): AuthenticationError | undefined {
    const distrusts = [...this.#hopeless].map(({ distrust }) => distrust);
    return this.isHopeless ? distrusts.findLast((distrust) => distrust !== undefined) : undefined;
  }

  /** The limit that one of the workers has turned this side away for, if one has. */
  get exceeded(): LimitExceeded | undefined {
    const all = [...this.#candidates.values()].map(({ exceeded }) => exceeded);
    return all.findLast((exceeded) => exceeded !== undefined);
  }

  /** Why there may be no workers, for people. */
  get why(): string {
    if (this.#failure !== undefined) return `discovery failed: ${describe(this.#failure)}`;
    const count = this.#candidates.size;
    if (count === 0) return 'discovery has named none';
    const last = [...this.#candidates.values()].findLast(({ warned }) => warned !== '');
    const named = `discovery has named ${count}`;
    if (last) return `${named}; of the last of them: ${last.warned}`;
    const asked = [...this.#candidates.values()].find(
      ({ state, met }) => state === 'asked' || (state === 'taken' && !met),
    );
    if (asked) return `${named}, and ${asked.metadata.address} has not answered`;
    return `${named}, and none takes calls`;
  }

  /** The proxy uses a worker no more; it has refused the link for the reason, if there is one. */
  gone(uid: string, refusal: CloseReason | undefined): void {
    const candidate = this.#taken.get(uid);
    if (candidate === undefined) return;
    this.#taken.delete(uid);
    this.#silent.delete(candidate);
    const wrong = refusal?.stopping !== true;
    if (refusal?.cause instanceof AuthenticationError) this.#judge(candidate, refusal.cause);
    if (candidate.metadata.uid === undefined) {
      // Another worker may be there now.
      if (refusal && wrong) this.#warn(candidate, `it refused the link: ${refusal.message}`);
      candidate.state = 'asked';
      candidate.answer = undefined;
      this.#retry(candidate);
    } else {
      candidate.state = 'out';
      if (refusal && wrong) {
        this.#warn(candidate, `it refused the link, and is left out: ${refusal.message}`);
      }
    }
    this.#fill();
  }

  /** The link to a worker did not come up. If another one waits for a place, or comes to, it gets this one's. */
  failed(uid: string, reason: CloseReason): void {
    const candidate = this.#taken.get(uid);
    if (candidate === undefined) return;
    const silence = silenceOf(reason.cause);
    const isWorker = reason.code !== 'protocol' || reason.cause instanceof LimitExceeded;
    const what = isWorker ? silence : 'what answers is no worker';
    this.#judge(candidate, reason.cause);
    this.#warn(candidate, `${what}: ${bare(reason.message)}`);
    this.#silent.add(candidate);
    this.#fill();
  }

  /** The link to a worker came up. */
  answered(uid: string): void {
    const candidate = this.#taken.get(uid);
    if (candidate === undefined) return;
    this.#silent.delete(candidate);
    this.#judge(candidate, undefined);
    candidate.met = true;
    candidate.failures = 0;
  }

  async #listen(): Promise<void> {
    try {
      const events = eventsOf(this.#options.discovery);
      this.#events = events;
      for (;;) {
        const { done, value } = await events.next();
        if (this.#over) return;
        if (done) return this.#ended(new Error('it has ended'));
        this.#failure = undefined;
        this.#failures = 0;
        this.#take(value);
        this.#settle?.resolve();
      }
    } catch (error) {
      if (!this.#over) this.#ended(error);
    }
  }

  /** Workers that are known are kept: what they know of themselves shows on their links. */
  #ended(error: unknown): void {
    const { env, warn } = this.#options;
    if (this.#failures === 0) {
      warn(`workers can't be found; those that are known are kept: ${describe(error)}`);
    }
    this.#failure = error;
    this.#failures += 1;
    this.#settle?.reject(error);
    const ms = pauseAfter(this.#failures);
    this.#pause = env.timer(ms, () => void this.#listen());
  }

  #take({ type, worker }: DiscoveryEvent): void {
    let metadata: WorkerMetadata;
    try {
      metadata = parseMetadata(worker);
    } catch (error) {
      this.#options.warn(`discovery names a worker that can't be used: ${describe(error)}`);
      return;
    }
    const key = workerKey(metadata);
    if (type === 'worker-dropped') this.#drop(key);
    else this.#put(key, metadata);
    this.#fill();
  }

  #put(key: string, metadata: WorkerMetadata): void {
    const known = this.#candidates.get(key);
    if (known === undefined) {
      const candidate: Candidate = {
        metadata,
        answer: undefined,
        state: 'new',
        failures: 0,
        timer: undefined,
        warned: '',
        distrust: undefined,
        exceeded: undefined,
        met: false,
      };
      this.#candidates.set(key, candidate);
      return this.#consider(candidate);
    }
    known.metadata = metadata;
    if (known.state === 'asked') return;
    if (known.state !== 'taken' || !this.#isServed(known) || !this.#isWanted(known)) {
      this.#leave(known);
      return this.#consider(known);
    }
    this.#options.send({ type: 'updated', worker: addressOf(knownOf(known)) });
  }

  #drop(key: string): void {
    const candidate = this.#candidates.get(key);
    if (candidate === undefined) return;
    const wasHopeless = this.isHopeless;
    this.#candidates.delete(key);
    this.#clear(candidate);
    this.#hopeless.delete(candidate);
    this.#leave(candidate);
    if (this.isHopeless && !wasHopeless && !this.#over) this.#options.despair?.();
    // It may have stood in the way of another that names the same worker.
    const uid = knownOf(candidate).uid;
    for (const other of this.#candidates.values()) {
      if (other.state === 'out' && uid !== undefined && other.answer?.uid === uid) {
        this.#consider(other);
      }
    }
  }

  /** It is none of those any more that the proxy has or may have. */
  #leave(candidate: Candidate): void {
    candidate.timer?.cancel();
    this.#ready.delete(candidate);
    this.#silent.delete(candidate);
    const { uid } = knownOf(candidate);
    if (uid !== undefined && this.#taken.get(uid) === candidate) {
      this.#taken.delete(uid);
      this.#options.send({ type: 'unlisted', uid });
    }
    candidate.state = 'new';
  }

  #consider(candidate: Candidate): void {
    if (this.#over) return;
    if (!this.#isServed(candidate)) {
      candidate.state = 'out';
      return;
    }
    const { uid } = knownOf(candidate);
    if (uid === undefined) return void this.#ask(candidate);
    candidate.state = 'out';
    const known = this.#options.own?.(uid) === true || this.#taken.has(uid);
    if (!known && this.#isWanted(candidate)) return this.#wait(candidate);
    // Another worker may come to its address, of which nobody tells.
    if (candidate.metadata.uid === undefined) this.#askLater(candidate, LONGEST_PAUSE_MS);
  }

  #wait(candidate: Candidate): void {
    candidate.timer?.cancel();
    candidate.state = 'ready';
    this.#ready.add(candidate);
  }

  #isServed(candidate: Candidate): boolean {
    const why = this.#options.unserved?.(knownOf(candidate));
    if (why !== undefined) {
      this.#judge(candidate, new CannotAsk(why));
      this.#warn(candidate, `it can't be reached, and is left out: ${why}`);
      return false;
    }
    const mismatch = this.#mismatch(knownOf(candidate));
    this.#judge(candidate, mismatch);
    if (mismatch) this.#warn(candidate, `it is left out: ${mismatch.message}`);
    return mismatch === undefined;
  }

  /** Why no link over gRPC can come up with a worker that has announced how it takes them. */
  #mismatch({
    secure,
    address,
    alternatives = [],
  }: WorkerMetadata): AuthenticationError | undefined {
    const here = this.#options.secure;
    if (here === undefined || secure === undefined || secure === here) return undefined;
    const schemes = [address, ...alternatives].map(schemeOf);
    if (!schemes.includes('tcp') && !schemes.includes('unix')) return undefined;
    return secure
      ? new AuthenticationError('it takes TLS only: give credentials here, too', { reason: 'tls' })
      : new AuthenticationError(
          'it speaks plain text, and credentials are given here: give it credentials, too, or none here',
          { reason: 'plaintext' },
        );
  }

  /** @param cause why it can't be used; undefined, or another one than these, where another try may help */
  #judge(candidate: Candidate, cause: unknown): void {
    const before = this.isHopeless;
    candidate.distrust = cause instanceof AuthenticationError ? cause : undefined;
    candidate.exceeded = cause instanceof LimitExceeded ? cause : undefined;
    if (candidate.distrust || cause instanceof CannotAsk) this.#hopeless.add(candidate);
    else if (this.#hopeless.delete(candidate)) this.#clear(candidate);
    if (this.isHopeless && !before) this.#options.despair?.();
  }

  #isWanted(candidate: Candidate): boolean {
    const { version: here, accept } = this.#options;
    const worker = knownOf(candidate);
    if (worker.version !== undefined && !goTogether(worker.version, here)) {
      const message = `it runs Skein ${worker.version}, and this is ${here}: it is left out`;
      this.#warn(candidate, message);
      return false;
    }
    try {
      return accept === undefined || accept(worker) === true;
    } catch (error) {
      this.#warn(candidate, `the filter threw, and it is left out: ${describe(error)}`);
      return false;
    }
  }

  /** Gives the places that there are to those that wait for one. */
  #fill(): void {
    if (this.#over || this.#ready.size === 0) return;
    const isFull = () => this.#taken.size >= this.#lease;
    if (isFull() && this.#silent.size === 0) return;
    for (const candidate of [...this.#ready]) {
      if (isFull() && !this.#evict()) return;
      this.#ready.delete(candidate);
      const worker = addressOf(knownOf(candidate));
      if (this.#taken.has(worker.uid)) {
        candidate.state = 'out';
        continue;
      }
      candidate.state = 'taken';
      this.#taken.set(worker.uid, candidate);
      this.#options.send({ type: 'added', worker });
      // It may be known from before, when it was somewhere else.
      this.#options.send({ type: 'updated', worker });
    }
  }

  async #ask(candidate: Candidate): Promise<void> {
    candidate.state = 'asked';
    const { address, alternatives } = candidate.metadata;
    try {
      const answer = await this.#options.probe({ address, alternatives });
      if (!this.#isCurrent(candidate)) return;
      candidate.failures = 0;
      this.#judge(candidate, undefined);
      // It need not know by which of its addresses it is reached.
      candidate.answer = { ...answer, address: candidate.metadata.address };
      this.#consider(candidate);
      this.#fill();
    } catch (error) {
      if (!this.#isCurrent(candidate)) return;
      candidate.answer = undefined;
      const { cause } = error as Error;
      this.#judge(candidate, cause);
      this.#warn(candidate, `${silenceOf(cause)}: ${bare(describe(error))}`);
      this.#retry(candidate);
    }
  }

  /** Takes its place from one that does not answer, if there is one. */
  #evict(): boolean {
    const [candidate] = this.#silent;
    if (candidate === undefined) return false;
    this.#leave(candidate);
    candidate.state = 'out';
    candidate.failures += 1;
    // Without a pause, those that do not answer would be tried in turns, for ever and at once.
    candidate.timer = this.#options.env.timer(pauseAfter(candidate.failures), () => {
      this.#consider(candidate);
      this.#fill();
    });
    return true;
  }

  /** Asks it again after a pause. */
  #retry(candidate: Candidate): void {
    if (!this.#isCurrent(candidate)) return;
    candidate.failures += 1;
    this.#askLater(candidate, pauseAfter(candidate.failures));
  }

  #askLater(candidate: Candidate, ms: number): void {
    candidate.timer?.cancel();
    candidate.timer = this.#options.env.timer(ms, () => void this.#ask(candidate));
  }

  #isCurrent(candidate: Candidate): boolean {
    return !this.#over && this.#candidates.get(workerKey(candidate.metadata)) === candidate;
  }

  #warn(candidate: Candidate, message: string): void {
    const isNew = candidate.warned !== message;
    candidate.warned = message;
    // What mends itself is not said again. Who is not trusted may be an attack, or be forgotten.
    if (isNew || candidate.distrust) {
      this.#warnings.tell(workerKey(candidate.metadata), knownOf(candidate), message);
    }
  }

  #clear(candidate: Candidate): void {
    candidate.warned = '';
    this.#warnings.clear(workerKey(candidate.metadata));
  }
}

/** @throws TypeError that says what a discovery of one's own gave instead of events */
function eventsOf(discovery: DiscoveryLike): AsyncIterator<DiscoveryEvent> {
  const given: unknown = discovery.subscribe();
  const iterable = given as Partial<AsyncIterable<DiscoveryEvent>> | null | undefined;
  const events = iterable?.[Symbol.asyncIterator]?.();
  if (events !== undefined) return events;
  const isPromise = typeof (given as { then?: unknown } | null | undefined)?.then === 'function';
  const hint = isPromise ? ': make it no async function, or an async generator' : '';
  throw new TypeError(
    `discovery.subscribe() gave ${isPromise ? 'a promise' : describeKind(given)}, and must give an async iterable of events${hint}`,
  );
}

function describeKind(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

/** What the worker has said of itself is newer than what others say of it. */
function knownOf({ metadata, answer }: Candidate): WorkerMetadata {
  return answer === undefined ? metadata : { ...metadata, ...answer };
}

function addressOf(worker: WorkerMetadata): WorkerAddress {
  const { uid = '', address, alternatives, beat, tags = [], channel } = worker;
  const places = { address, ...(alternatives && { alternatives }), beat };
  return { uid, ...places, tags, capacity: channel?.concurrency, hearsay: true };
}

function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
}

/** Why, without the words that say for themselves where and that there is no answer. */
function bare(message: string): string {
  return message.replace(
    /^(?:No worker answers at \S+|The worker at \S+ can't be asked): (.+?)\.?$/,
    '$1',
  );
}

function silenceOf(cause: unknown): string {
  if (cause instanceof AuthenticationError) return 'it is not used';
  if (cause instanceof LimitExceeded) return 'it takes no more';
  return cause instanceof CannotAsk ? "it can't be asked" : 'it does not answer';
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether two versions speak the same protocol: those with the same first number that is not 0. */
export function goTogether(one: string, other: string): boolean {
  return lineOf(one) === lineOf(other);
}

function lineOf(version: string): string {
  const [major = '', minor = ''] = version.split('.');
  return major === '0' ? `0.${minor}` : major;
}
