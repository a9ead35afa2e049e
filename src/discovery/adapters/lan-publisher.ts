/** Announces this process's workers on its networks, and answers those who ask for them. */
import { isIP } from 'node:net';
import type { Env, Timer } from '../../env.ts';
import type { AnnouncedWorker, DiscoveryEventType, DiscoveryPublisher } from '../discovery.ts';
import { parseAnnounced } from '../metadata.ts';
import type { Warn } from '../warning.ts';
import { isLoopback } from './interfaces.ts';
import type { Network, NetworkUser, Segment } from './lan-network.ts';
import { encodeTxt, goodbyes, hostAndPort, labelOf, SERVICE, withHost } from './lan-record.ts';
import type { DnsRecord, Packet } from './lan-socket.ts';

/** Each announcement is said twice, as RFC 6762 wants it: the first may be lost. */
const AGAIN_MS = 1_000;
/** Answers of several machines to one question are spread over this time. */
const SPREAD_MS = 20;
/** Between two answers of one worker, however often it is asked for. */
const APART_MS = 100;
const TYPES = '_services._dns-sd._udp.local';

interface Announced {
  readonly worker: AnnouncedWorker;
  readonly revision: number;
  readonly again: Timer;
}

/** What must still be answered on a network. */
interface Answering {
  readonly uids: Set<string>;
  last: number;
  timer: Timer | undefined;
}

export interface LanPublisherOptions {
  readonly env: Env;
  readonly name: string;
  readonly network: Network;
  /** Whether only this machine is meant to find the workers. */
  readonly local: boolean;
  readonly warn: Warn;
}

export class LanPublisher implements DiscoveryPublisher, NetworkUser {
  readonly bindHost = '0.0.0.0';
  readonly #options: LanPublisherOptions;
  readonly #announced = new Map<string, Announced>();
  readonly #answering = new WeakMap<Segment, Answering>();
  #revision = 0;

  constructor(options: LanPublisherOptions) {
    this.#options = options;
  }

  async publish(event: DiscoveryEventType, metadata: AnnouncedWorker): Promise<void> {
    const worker = parseAnnounced(metadata);
    this.#check(worker);
    switch (event) {
      case 'worker-added':
      case 'worker-updated':
        return await this.#announce(worker);
      case 'worker-dropped':
        return await this.#withdraw(worker);
      default:
        event satisfies never;
        throw new TypeError(`${JSON.stringify(event)} is not an event of discovery`);
    }
  }

  /** Drops all workers that were announced here. */
  async close(): Promise<void> {
    const workers = [...this.#announced.values()].map(({ worker }) => worker);
    await Promise.all(workers.map((worker) => this.#withdraw(worker)));
    await this.#options.network.leave(this);
  }

  opened(segment: Segment): void {
    for (const announced of this.#announced.values()) void this.#say(segment, announced);
  }

  query(segment: Segment, { questions }: Packet): void {
    const { env } = this.#options;
    const uids = questions.flatMap((question) => this.#asked(question.name.toLowerCase()));
    if (uids.length === 0) return;
    const answering = this.#answering.get(segment) ?? {
      uids: new Set(),
      last: Number.NEGATIVE_INFINITY,
      timer: undefined,
    };
    this.#answering.set(segment, answering);
    for (const uid of uids) answering.uids.add(uid);
    if (answering.timer !== undefined) return;
    const spread = env.random() * SPREAD_MS;
    const wait = Math.max(spread, answering.last + APART_MS - env.now());
    answering.timer = env.timer(wait, () => this.#answer(segment, answering));
  }

  /** Another process of this machine may drop a worker that was announced here. */
  response(_segment: Segment, packet: Packet, source: string): void {
    const { network } = this.#options;
    if (this.#announced.size === 0 || network.isOwn(packet) || !network.isLocal(source)) return;
    for (const label of goodbyes(packet)) {
      for (const [uid, { worker }] of this.#announced) {
        if (labelOf(uid).toLowerCase() === label) void this.#withdraw(worker);
      }
    }
  }

  /** @throws TypeError when it can't be announced on a network */
  #check(worker: AnnouncedWorker): void {
    if (hostAndPort(worker.address) === undefined) {
      throw new TypeError(
        `address must be tcp://host:port, since other machines can't reach ${worker.address}`,
      );
    }
    encodeTxt({ name: this.#options.name, revision: Number.MAX_SAFE_INTEGER, worker });
  }

  async #announce(worker: AnnouncedWorker): Promise<void> {
    const { env, network } = this.#options;
    await network.use(this);
    // Above those of whoever announced the same worker before.
    this.#revision = Math.max(this.#revision + 1, Math.floor(env.date()));
    const again = env.timer(AGAIN_MS, () => void this.#sayEverywhere(announced));
    const announced: Announced = { worker, revision: this.#revision, again };
    this.#announced.get(worker.uid)?.again.cancel();
    this.#announced.set(worker.uid, announced);
    await this.#sayEverywhere(announced);
  }

  async #withdraw(worker: AnnouncedWorker): Promise<void> {
    const { network } = this.#options;
    await network.use(this);
    this.#announced.get(worker.uid)?.again.cancel();
    this.#announced.delete(worker.uid);
    // Without any announcement: somebody else may have announced it.
    const gone = { worker, revision: 0 };
    await Promise.all([...network.segments].map((segment) => this.#say(segment, gone, 0)));
    if (this.#announced.size === 0) await network.leave(this);
  }

  async #sayEverywhere(announced: Announced): Promise<void> {
    const segments = [...this.#options.network.segments];
    await Promise.all(segments.map((segment) => this.#say(segment, announced)));
  }

  /** @param ttl seconds for which it holds; 0: the worker goes */
  async #say(
    segment: Segment,
    announced: Pick<Announced, 'worker' | 'revision'>,
    ttl?: number,
  ): Promise<void> {
    const { warn } = this.#options;
    const records = this.#records(segment, announced);
    const kept = ttl === undefined ? records : records.filter(({ name }) => name !== TYPES);
    try {
      await segment.say(ttl === undefined ? kept : kept.map((record) => ({ ...record, ttl })));
    } catch (error) {
      const { name } = segment.interface;
      warn('say', `workers can't be announced on the network ${name} at present: ${String(error)}`);
    }
  }

  #records(
    segment: Segment,
    { worker, revision }: Pick<Announced, 'worker' | 'revision'>,
  ): DnsRecord[] {
    const { name, local } = this.#options;
    const reached = withHost(worker, segment.interface.address);
    const { host, port } = hostAndPort(reached.address) as { host: string; port: number };
    if (isLoopback(host) && !local) this.#warnLoopback(worker, host, reached !== worker);
    const label = labelOf(worker.uid);
    const type = isIP(host) === 0 ? undefined : isIP(host) === 4 ? 'A' : 'AAAA';
    const target = type === undefined ? host : `${label}.local`;
    const txt = encodeTxt({ name, revision, worker: reached });
    const records = segment.socket.records({ label, subtype: name, port, target, txt });
    return type === undefined
      ? records
      : [...records, { name: target, type, ttl: 120, data: host }];
  }

  /** @param everywhere whether it listens on all addresses of this machine */
  #warnLoopback({ uid }: AnnouncedWorker, host: string, everywhere: boolean): void {
    if (everywhere) {
      this.#options.warn(
        'no network',
        `this machine is in no network: until it is in one, worker ${uid} is announced on it alone, at ${host}`,
      );
      return;
    }
    this.#options.warn(
      'loopback',
      `worker ${uid} is announced to the network at ${host}, where this machine alone can reach it: ` +
        "let it listen on 0.0.0.0, or on this machine's address in the network",
    );
  }

  /** The workers that a question is about. */
  #asked(name: string): string[] {
    const subtype = `_${this.#options.name.toLowerCase()}._sub.${SERVICE}`;
    if (name === SERVICE || name === subtype || name === TYPES) return [...this.#announced.keys()];
    const [label] = name.split('.', 1);
    if (name !== `${label}.${SERVICE}` && name !== `${label}.local`) return [];
    return [...this.#announced.keys()].filter((uid) => labelOf(uid).toLowerCase() === label);
  }

  #answer(segment: Segment, answering: Answering): void {
    answering.timer = undefined;
    answering.last = this.#options.env.now();
    for (const uid of answering.uids) {
      const announced = this.#announced.get(uid);
      if (announced !== undefined) void this.#say(segment, announced);
    }
    answering.uids.clear();
  }
}
