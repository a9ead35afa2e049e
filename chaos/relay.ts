/** A TCP relay in front of the workers of a pool, whose connections can be harmed. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** `up` is what goes to the worker, `down` what comes from it. */
export type Direction = 'up' | 'down' | 'both';

/** How a connection is ended. */
export type Cut = 'reset' | 'end';

/** At once: by itself Node first writes what a slow reader has not taken yet. */
function reset(socket: Socket): void {
  // While its end is under way libuv refuses a reset, and Node would leave it open and never say 'close'.
  const ending = socket.writableEnded && !socket.writableFinished;
  if (!ending) socket.resetAndDestroy();
  socket.destroy();
}

/** One direction of a connection. */
class Flow {
  readonly #to: Socket;
  #holds = 0;
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
      if (hadError) void this.#pass(() => reset(to));
    });
  }

  hold(): void {
    this.#holds += 1;
    this.#thawed ??= new Promise((resolve) => {
      this.#thaw = resolve;
    });
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
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
      if (how === 'reset') reset(socket);
      else socket.destroySoon();
    }
  }
}

interface Hold {
  readonly direction: Direction;
  readonly flows: Flow[];
}

/** The sockets that are open, and which side they are on. */
type Sockets = Map<Socket, string>;

/** Where the connections to one address come through. */
export class Front {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #sockets: Sockets;
  #target: { host: string; port: number } | undefined;
  /** Those that hold new connections, too. */
  readonly #holds = new Set<Hold>();

  private constructor(server: Server, sockets: Sockets) {
    this.#server = server;
    this.#sockets = sockets;
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async open(sockets: Sockets): Promise<Front> {
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

  /**
   * Half-open: nothing goes on in that direction, and nobody is told, until what this gives is called.
   *
   * @param fresh whether connections that come later are held, too
   */
  hold(direction: Direction, fresh: boolean): () => void {
    const hold = { direction, flows: this.#flows(direction) };
    for (const flow of hold.flows) flow.hold();
    if (fresh) this.#holds.add(hold);
    return () => {
      this.#holds.delete(hold);
      for (const flow of hold.flows) flow.release();
    };
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
    this.#sockets.set(caller, 'caller side').set(worker, 'worker side');
    for (const socket of [caller, worker]) {
      socket.once('close', () => this.#sockets.delete(socket));
    }
    const pair = new Pair(caller, worker, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    for (const { direction, flows } of this.#holds) {
      const held = pair.flows(direction);
      for (const flow of held) flow.hold();
      flows.push(...held);
    }
  }
}

export class Relay {
  readonly #fronts = new Map<string, Front>();
  readonly #spares: Front[];
  readonly #sockets: Sockets;
  #closed = false;

  private constructor(spares: Front[], sockets: Sockets) {
    this.#spares = spares;
    this.#sockets = sockets;
  }

  /** @param spares addresses that may appear within one turn of the event loop */
  static async open(spares: number): Promise<Relay> {
    const sockets = new Map();
    const fronts = Array.from({ length: spares }, () => Front.open(sockets));
    return new Relay(await Promise.all(fronts), sockets);
  }

  /** The sockets that are open now, described. */
  get sockets(): string[] {
    return [...this.#sockets].map(([socket, side]) => {
      const { localPort, remotePort, connecting, bytesRead, bytesWritten } = socket;
      const { writableLength, writableEnded, readableEnded, destroyed } = socket;
      const state = { connecting, writableLength, writableEnded, readableEnded, destroyed };
      const set = Object.entries(state).filter(([, value]) => value);
      const pause = socket.isPaused() ? ', paused' : '';
      return (
        `socket of the relay, ${side}, ${localPort} to ${remotePort}, ${bytesRead} bytes read, ` +
        `${bytesWritten} written, ${set.map(([name, value]) => `${name} ${value}`).join(', ')}${pause}`
      );
    });
  }

  /**
   * Where the address is reached through the relay: `tcp://host:port`, also behind another scheme, and with a token behind it.
   *
   * @throws Error when too many addresses appeared at once
   */
  reach(address: string): string {
    const [, before = '', target = '', token = ''] = /^(.*)(tcp:[^#]*)(.*)$/.exec(address) ?? [];
    // One that listens already: the pool wants an address at once.
    const front = this.#spares.pop();
    if (front === undefined) throw new Error('the relay has no spare front');
    front.aim(target);
    const reached = before + front.address + token;
    this.#fronts.set(reached, front);
    void this.#refill();
    return reached;
  }

  /** What stands at an address that `reach` gave. */
  at(reached: string): Front | undefined {
    return this.#fronts.get(reached);
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
