/** Finds the workers that are announced on this machine's networks, while somebody listens. */
import type { Env, Timer } from '../../env.ts';
import type { Roster } from '../roster.ts';
import type { Warn } from '../warning.ts';
import type { Network, NetworkUser, Segment } from './lan-network.ts';
import { checkReachable, decodeTxt, ForOthers, goodbyes, SERVICE } from './lan-record.ts';
import { Sightings } from './lan-sightings.ts';
import type { DnsRecord, Packet } from './lan-socket.ts';

/** The first question may be lost. */
const AGAIN_MS = 250;
/** With many workers the questions become rarer: so many milliseconds for each of them. */
const MS_PER_WORKER = 10;
/** Milliseconds for which a network may be away before its workers count as gone. */
const AWAY_MS = 30_000;

export interface LanBrowserOptions {
  readonly env: Env;
  readonly name: string;
  readonly network: Network;
  /** Milliseconds between two questions. */
  readonly intervalMs: number;
  readonly roster: Roster;
  readonly warn: Warn;
}

export class LanBrowser implements NetworkUser {
  readonly #options: LanBrowserOptions;
  readonly #sightings: Sightings;
  /** When somebody last asked for our workers, by network. */
  readonly #asked = new Map<string, number>();
  /** Networks that are away, and when their workers count as gone. */
  readonly #away = new Map<string, Timer>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: LanBrowserOptions) {
    this.#options = options;
    this.#sightings = new Sightings(options);
  }

  async start(): Promise<void> {
    const { env, network } = this.#options;
    await network.use(this);
    if (this.#stopped) return;
    for (const segment of network.segments) this.#ask(segment);
    this.#timer = env.timer(AGAIN_MS, () => {
      for (const segment of network.segments) this.#ask(segment);
      this.#askLater();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const timer of this.#away.values()) timer.cancel();
    this.#away.clear();
    this.#sightings.forget();
    await this.#options.network.leave(this);
  }

  opened(segment: Segment): void {
    const { address } = segment.interface;
    this.#away.get(address)?.cancel();
    this.#away.delete(address);
    this.#ask(segment);
  }

  closed({ interface: { address } }: Segment): void {
    const { env } = this.#options;
    // Nobody was asked there, so nobody has failed to answer.
    this.#asked.delete(address);
    const gone = () => {
      this.#away.delete(address);
      this.#sightings.left(address);
    };
    this.#away.get(address)?.cancel();
    this.#away.set(address, env.timer(AWAY_MS, gone));
  }

  query(segment: Segment, { questions }: Packet): void {
    const names = [SERVICE, this.#subtype];
    if (!questions.some(({ name }) => names.includes(name.toLowerCase()))) return;
    this.#asked.set(segment.interface.address, this.#options.env.now());
  }

  response(segment: Segment, packet: Packet, source: string): void {
    const now = this.#options.env.now();
    for (const label of goodbyes(packet)) this.#sightings.goodbye(label, source, now);
    for (const record of [...packet.answers, ...packet.additionals]) {
      if (isOurs(record)) this.#read(segment, record, source);
    }
  }

  #read(segment: Segment, { data }: DnsRecord, source: string): void {
    const { env, name, network, warn } = this.#options;
    try {
      const announcement = decodeTxt(data, name);
      checkReachable(announcement.worker, network.isLocal(source));
      const { address } = segment.interface;
      this.#sightings.seen({ ...announcement, source, network: address }, env.now());
    } catch (error) {
      if (error instanceof ForOthers) return;
      const { message } = error as Error;
      warn(message, `a worker announced by ${source} is left out: ${message}`);
    }
  }

  get #subtype(): string {
    return `_${this.#options.name.toLowerCase()}._sub.${SERVICE}`;
  }

  #ask(segment: Segment): void {
    // While it can't be sent, nobody is asked, and nobody fails to answer.
    segment.ask([{ name: this.#subtype, type: 'PTR' }]).catch(() => {});
  }

  #askLater(): void {
    const { env, intervalMs, network } = this.#options;
    const interval = Math.max(intervalMs, this.#sightings.size * MS_PER_WORKER);
    // Not when all others ask who began at the same time.
    const pause = interval * (1 + env.random() / 4);
    this.#timer = env.timer(pause, () => {
      for (const segment of network.segments) {
        const { address } = segment.interface;
        const asked = this.#asked.get(address);
        if (asked !== undefined) this.#sightings.round(address, asked, env.now());
        // Everybody hears the answers to what others have asked.
        if (asked === undefined || asked < env.now() - pause / 2) this.#ask(segment);
      }
      this.#askLater();
    });
  }
}

function isOurs({ name, type, ttl }: DnsRecord): boolean {
  return type === 'TXT' && ttl !== 0 && name.toLowerCase().endsWith(`.${SERVICE}`);
}
