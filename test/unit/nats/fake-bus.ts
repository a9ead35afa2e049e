/** A NATS server and connections to it, in memory and at once, on a clock of the test's. */
import type { Env } from '../../../src/env.ts';
import type { BusMessage, DiscoveryBus } from '../../../src/nats/discovery-bus.ts';
import { Clock } from '../../../src/testing/clock.ts';

type Watcher = Parameters<DiscoveryBus['watch']>[0];

interface Subscription {
  readonly pattern: string;
  readonly taken: (message: BusMessage) => void;
}

export class FakeServer {
  readonly clock = new Clock();
  readonly buses: FakeBus[] = [];
  /** All that was published. */
  readonly published: string[] = [];
  #date = 1_800_000_000_000;

  /** The environment of one process. */
  env(): Env {
    const { clock } = this;
    let random = 0;
    return {
      now: () => clock.now,
      date: () => this.#date + clock.now,
      timer: (ms, fn) => clock.after(ms, fn),
      soon: (fn) => clock.soon(fn),
      turn: (fn) => clock.soon(fn),
      collected: () => {},
      random: () => {
        random = (random + 0.37) % 1;
        return random;
      },
      uid: () => `uid-${this.buses.length}`,
      disguise: (id) => id,
    };
  }

  connection(identity: string, may?: (subject: string) => boolean): FakeBus {
    const bus = new FakeBus(this, identity, may ?? (() => true));
    this.buses.push(bus);
    return bus;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    let over = false;
    this.clock.after(ms, () => {
      over = true;
    });
    await this.clock.run(() => over, Number.POSITIVE_INFINITY);
  }

  deliver(subject: string, data: Uint8Array): void {
    this.published.push(subject);
    for (const bus of this.buses) bus.hear({ subject, data, status: 0 });
  }
}

export class FakeBus implements DiscoveryBus {
  readonly cluster = 'default';
  readonly identity: string;
  readonly goneAfterMs = 5_000;
  maxPayload = 1_048_576;
  users = 0;
  holds = 0;
  /** Whether the server answers; it may be there and stand still. */
  stopped = false;
  unreachable = false;
  readonly #server: FakeServer;
  readonly #may: (subject: string) => boolean;
  readonly #subscriptions = new Set<Subscription>();
  readonly #watchers = new Set<Watcher>();
  #flushing: { resolve: () => void; reject: (why: Error) => void }[] = [];
  #cut = false;

  constructor(server: FakeServer, identity: string, may: (subject: string) => boolean) {
    this.#server = server;
    this.identity = identity;
    this.#may = may;
  }

  async open(): Promise<void> {
    if (this.unreachable) throw new Error('connection refused');
    this.users += 1;
  }

  close(): void {
    this.users -= 1;
  }

  get connected(): boolean {
    return !this.#cut;
  }

  hold(): () => void {
    this.holds += 1;
    return () => {
      this.holds -= 1;
    };
  }

  get subjects(): string[] {
    return [...this.#subscriptions].map(({ pattern }) => pattern);
  }

  subscribe(
    pattern: string,
    taken: (message: BusMessage) => void,
    refused?: (why: string) => void,
  ): () => void {
    if (!this.#may(pattern)) {
      queueMicrotask(() => refused?.(`not to ${pattern}`));
      return () => {};
    }
    const subscription = { pattern, taken };
    this.#subscriptions.add(subscription);
    return () => this.#subscriptions.delete(subscription);
  }

  publish(subject: string, data: Uint8Array): boolean {
    if (this.#cut) return false;
    if (this.#may(subject)) this.#server.deliver(subject, data);
    else for (const { refused } of this.#watchers) refused?.(subject, `not on ${subject}`);
    return true;
  }

  async flush(): Promise<void> {
    if (this.#cut) throw new Error('not connected');
    if (this.stopped) {
      await new Promise<void>((resolve, reject) => this.#flushing.push({ resolve, reject }));
    }
  }

  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  hear(message: BusMessage): void {
    if (this.#cut || this.stopped) return;
    for (const { pattern, taken } of [...this.#subscriptions]) {
      if (matches(pattern, message.subject)) queueMicrotask(() => taken(message));
    }
  }

  /** The connection breaks. */
  cut(): void {
    this.#cut = true;
    const lost = new Error('lost');
    for (const { reject } of this.#flushing.splice(0)) reject(lost);
    for (const { down } of this.#watchers) down?.(lost);
  }

  /** It comes back. */
  mend(): void {
    this.#cut = false;
    this.stopped = false;
    for (const { up } of this.#watchers) up?.();
  }
}

function matches(pattern: string, subject: string): boolean {
  const [wanted, parts] = [pattern.split('.'), subject.split('.')];
  return (
    wanted.length === parts.length &&
    wanted.every((token, index) => token === '*' || token === parts[index])
  );
}
