/** A TCP relay in front of the workers of a pool, whose connections can be harmed. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** `up` is what goes to the worker, `down` what comes from it. */
export type Direction = 'up' | 'down' | 'both';

/** How a connection is ended. */
export type Cut = 'reset' | 'end';

/** One direction of a connection. */
class Flow {
  readonly #to: Socket;
  #thawed: Promise<void> | undefined;
  #thaw: () => void = () => {};
  /** Milliseconds that each piece waits. */
  delayMs = 0;
  bytesPerSecond = Number.POSITIVE_INFINITY;

  constructor(from: Socket, to: Socket) {
    this.#to = to;
    from.on('data', (bytes: Buffer) => {
      // One piece at a time, so that what is held back meets the sender as backpressure.
      from.pause();
      void this.#forward(bytes).then(() => from.resume());
    });
    from.on('end', () => void this.#pass(() => to.end()));
    from.on('close', (hadError) => {
      if (hadError) void this.#pass(() => to.resetAndDestroy());
    });
  }

  hold(): void {
    this.#thawed ??= new Promise((resolve) => {
      this.#thaw = resolve;
    });
  }

  thaw(): void {
    this.#thawed = undefined;
    this.#thaw();
  }

  async #forward(bytes: Buffer): Promise<void> {
    const waitMs = this.delayMs + (1000 * bytes.length) / this.bytesPerSecond;
    if (waitMs >= 1) await sleep(waitMs, undefined, { ref: false });
    await this.#pass(async () => {
      const to = this.#to;
      if (to.destroyed || to.write(bytes)) return;
      await new Promise<void>((resolve) => {
        to.once('drain', resolve).once('close', resolve);
      });
    });
  }

  async #pass(action: () => unknown): Promise<void> {
    while (this.#thawed) await this.#thawed;
    await action();
  }
}

/** A connection through the relay. */
class Pair {
  readonly #caller: Socket;
  readonly #worker: Socket;
  readonly #up: Flow;
  readonly #down: Flow;

  constructor(caller: Socket, worker: Socket, closed: () => void) {
    this.#caller = caller;
    this.#worker = worker;
    this.#up = new Flow(caller, worker);
    this.#down = new Flow(worker, caller);
    let open = 2;
    for (const socket of [caller, worker]) {
      socket.setNoDelay(true);
      // 'close' says it, too.
      socket.on('error', () => {});
      socket.on('close', () => {
        open -= 1;
        if (open === 0) closed();
      });
    }
  }

  flows(direction: Direction): Flow[] {
    if (direction === 'both') return [this.#up, this.#down];
    return [direction === 'up' ? this.#up : this.#down];
  }

  cut(how: Cut): void {
    for (const socket of [this.#caller, this.#worker]) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }
}

/** Where the connections to one worker come through. */
export class Front {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #sockets: Set<Socket>;
  #target: { host: string; port: number } | undefined;
  /** What new connections meet, too. */
  #held: Direction | undefined;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async open(sockets: Set<Socket>): Promise<Front> {
    const server = createServer({ allowHalfOpen: true });
    const front = new Front(server, sockets);
    server.listen(0, '127.0.0.1').unref();
    await once(server, 'listening');
    return front;
  }

  get address(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  aim(address: string): void {
    const { hostname, port } = new URL(address);
    this.#target = { host: hostname, port: Number(port) };
  }

  cut(how: Cut): void {
    for (const pair of this.#pairs) pair.cut(how);
  }

  /** Half-open: nothing goes on in that direction, and nobody is told. Also for new connections. */
  hold(direction: Direction): void {
    this.#held = direction;
    for (const flow of this.#flows(direction)) flow.hold();
  }

  thaw(): void {
    this.#held = undefined;
    for (const flow of this.#flows('both')) flow.thaw();
  }

  /** Each piece waits so long. Connections that come later are not slowed down. */
  delay(ms: number): void {
    for (const flow of this.#flows('both')) flow.delayMs = ms;
  }

  /** A slow reader. Connections that come later are not slowed down. */
  throttle(direction: Direction, bytesPerSecond: number): void {
    for (const flow of this.#flows(direction)) flow.bytesPerSecond = bytesPerSecond;
  }

  close(): void {
    this.#server.close();
    this.cut('reset');
  }

  #flows(direction: Direction): Flow[] {
    return [...this.#pairs].flatMap((pair) => pair.flows(direction));
  }

  #accept(caller: Socket): void {
    if (this.#target === undefined) {
      caller.destroy();
      return;
    }
    const worker = connect({ ...this.#target, allowHalfOpen: true });
    for (const socket of [caller, worker]) {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    }
    const pair = new Pair(caller, worker, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    if (this.#held) for (const flow of pair.flows(this.#held)) flow.hold();
  }
}

export class Relay {
  readonly #fronts = new Map<string, Front>();
  readonly #spares: Front[];
  readonly #sockets: Set<Socket>;
  #closed = false;

  private constructor(spares: Front[], sockets: Set<Socket>) {
    this.#spares = spares;
    this.#sockets = sockets;
  }

  /** @param spares workers that may appear within one turn of the event loop */
  static async open(spares: number): Promise<Relay> {
    const sockets = new Set<Socket>();
    const fronts = Array.from({ length: spares }, () => Front.open(sockets));
    return new Relay(await Promise.all(fronts), sockets);
  }

  /** Sockets that are open now, on both sides. */
  get sockets(): number {
    return this.#sockets.size;
  }

  /**
   * What stands before the worker that listens at that address.
   *
   * @throws Error when too many workers appeared at once
   */
  front(address: string): Front {
    let front = this.#fronts.get(address);
    if (front === undefined) {
      // One that listens already: the pool wants an address at once.
      front = this.#spares.pop();
      if (front === undefined) throw new Error('the relay has no spare front');
      front.aim(address);
      this.#fronts.set(address, front);
      void this.#refill();
    }
    return front;
  }

  /** What is reached at that address of the relay. */
  at(address: string): Front | undefined {
    for (const front of this.#fronts.values()) if (front.address === address) return front;
    return undefined;
  }

  thaw(): void {
    for (const front of this.#fronts.values()) front.thaw();
  }

  close(): void {
    this.#closed = true;
    for (const front of [...this.#fronts.values(), ...this.#spares]) front.close();
  }

  async #refill(): Promise<void> {
    const front = await Front.open(this.#sockets);
    if (this.#closed) front.close();
    else this.#spares.push(front);
  }
}
