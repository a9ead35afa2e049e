/** Either end of a link by hand: HTTP/2 and frames as a test wants them, which need not be true. */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeEnvelope,
  EnvelopeWriter,
  type Frame,
  type FrameBody,
  type FrameOf,
  type Goodbye,
  type OutFrame,
  type OutValue,
  PROTOCOL_VERSION,
} from '../../src/wire/frame.ts';
import { encodeArgs } from '../../src/wire/value.ts';

const LINK = '/skein.v1.Worker/Link';
export const MODULE = 'skein/test/integration/routines/hostile.ts';

/** Polls until `check` does not throw. As in `helpers.ts`, which is for the processes of tests alone. */
async function until<T>(check: () => T, timeoutMs = 15_000): Promise<T> {
  const due = performance.now() + timeoutMs;
  for (;;) {
    try {
      return check();
    } catch (error) {
      if (performance.now() > due) throw error;
    }
    await sleep(2);
  }
}

/** A message of gRPC: a byte that says whether it is compressed, its length, and the message. */
export function message(bytes: Uint8Array, length = bytes.length, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

export function envelope(sequence: number, frames: readonly OutFrame[]): Uint8Array {
  const writer = new EnvelopeWriter();
  for (const frame of frames) writer.add(frame);
  return writer.finish(sequence);
}

/** What both ends of a link by hand have. */
class RawStream {
  readonly frames: Frame[] = [];
  /** The other side has ended it. */
  ended = false;
  /** It is over for both. */
  closed = false;
  readonly #stream: ClientHttp2Stream | ServerHttp2Stream;
  #sent = 0;
  #rest = Buffer.alloc(0);

  constructor(stream: ClientHttp2Stream | ServerHttp2Stream, reads: boolean) {
    this.#stream = stream;
    stream.on('error', () => {});
    const end = () => {
      this.ended = true;
    };
    stream.on('end', end);
    stream.on('close', () => {
      end();
      this.closed = true;
    });
    if (reads) stream.on('data', (data: Buffer) => this.#take(data));
  }

  #take(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data]);
    while (this.#rest.length >= 5) {
      const end = 5 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) return;
      this.frames.push(...decodeEnvelope(this.#rest.subarray(5, end)).frames);
      this.#rest = this.#rest.subarray(end);
    }
  }

  /** Sends frames in one envelope. Resolves when it is on its way. */
  async send(...frames: OutFrame[]): Promise<void> {
    this.#sent += 1;
    await this.raw(message(envelope(this.#sent, frames)));
  }

  /** Sends an envelope that was made elsewhere, with the next number behind it. */
  async sendBytes(frames: Uint8Array): Promise<void> {
    this.#sent += 1;
    const number = envelope(this.#sent, []);
    await this.raw(message(Buffer.concat([frames, number])));
  }

  async raw(bytes: Uint8Array): Promise<void> {
    if (this.#stream.closed || this.#stream.destroyed) return;
    await new Promise<void>((sent) => {
      // The end of the stream calls it back, too.
      this.#stream.write(bytes, () => sent());
    });
  }

  of<Body extends FrameBody>(body: Body): FrameOf<Body>[] {
    return this.frames.filter((frame): frame is FrameOf<Body> => frame.body === body);
  }

  /** The first frame of this kind, or the one of this call. */
  async first<Body extends FrameBody>(body: Body, call?: number): Promise<FrameOf<Body>> {
    return await until(() => {
      const found = this.of(body).find((frame) => call === undefined || frame.call === call);
      if (found === undefined) {
        const seen = this.frames.map((frame) => `${frame.body} ${frame.call}`).slice(-10);
        throw new Error(`no ${body} frame${this.ended ? ' before the end' : ''}: ${seen}`);
      }
      return found;
    });
  }

  async goodbye(): Promise<Goodbye> {
    return (await this.first('goodbye')).goodbye;
  }

  async end(): Promise<void> {
    await until(() => {
      if (!this.ended) throw new Error('the link has not ended');
    });
  }

  close(): void {
    this.#stream.close();
  }
}

/** A caller. */
export class RawCaller extends RawStream {
  readonly #session: ClientHttp2Session;
  #call = 0;

  /**
   * Opens a stream, and says nothing.
   *
   * @param session on which. Default: one of its own
   * @param reads whether it takes what the worker sends
   */
  static async open(
    address: string,
    { session, reads = true }: { session?: ClientHttp2Session; reads?: boolean } = {},
  ): Promise<RawCaller> {
    const own = session ?? connect(address.replace('tcp:', 'http:'));
    if (session === undefined) {
      own.on('error', () => {});
      await once(own, 'connect');
    }
    const headers = { ':method': 'POST', ':path': LINK };
    const stream = own.request({ ...headers, 'content-type': 'application/grpc', te: 'trailers' });
    return new RawCaller(own, stream, reads);
  }

  /** The same, greets, and names the routines: 1 is `echo`, 2 is `wait`, 3 is `steps`. */
  static async greeted(
    address: string,
    options: Parameters<typeof RawCaller.open>[1] = {},
  ): Promise<RawCaller> {
    const caller = await RawCaller.open(address, options);
    await caller.greet();
    return caller;
  }

  private constructor(session: ClientHttp2Session, stream: ClientHttp2Stream, reads: boolean) {
    super(stream, reads);
    this.#session = session;
    callers.add(this);
  }

  /** @param name who it says that it is. Default: somebody new */
  async greet(name = uid()): Promise<void> {
    const hello = { version: PROTOCOL_VERSION, uid: name, max_value_bytes: 2 ** 40, window: 1e9 };
    await this.send(
      { call: 0, hello },
      ...['echo', 'wait', 'steps'].map((name, i) => ({
        call: 0,
        routine: { number: i + 1, module: MODULE, name },
      })),
    );
  }

  /** A Task with the next number. */
  task(routine: number, ...args: unknown[]): TaskFrame {
    this.#call += 1;
    return taskOf(this.#call, routine, { item: encodeArgs(args) as Uint8Array });
  }

  /** Calls `echo`, and gives what came back. */
  async echo(value: unknown): Promise<FrameOf<'result'>> {
    const task = this.task(1, value);
    await this.send(task);
    return await this.first('result', task.call);
  }

  get lastCall(): number {
    return this.#call;
  }

  hangUp(): void {
    this.#session.destroy();
    callers.delete(this);
  }
}

export type TaskFrame = Extract<OutFrame, { readonly task: unknown }>;

export function taskOf(call: number, routine: number, args: OutValue): TaskFrame {
  return { call, task: { routine, args, sequence: call, generator: routine === 3 } };
}

const callers = new Set<RawCaller>();

/** Ends all callers that are left. */
export function hangUpAll(): void {
  for (const caller of callers) caller.hangUp();
}

let uids = 0;

function uid(): string {
  uids += 1;
  return `raw-${process.pid}-${uids}`.padEnd(16, '-');
}

/** A worker by hand: each link goes to `serve`, whose caller has not greeted yet. */
export class RawWorker {
  readonly uid = uid();
  readonly address: string;
  readonly links: RawWorkerLink[] = [];
  readonly #close: () => void;

  static async listen(serve: (link: RawWorkerLink) => unknown): Promise<RawWorker> {
    const sessions = new Set<ServerHttp2Session>();
    const server = createServer();
    server.on('session', (session) => {
      sessions.add(session);
      session.on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const close = () => {
      for (const session of sessions) session.destroy();
      server.close();
    };
    const worker: RawWorker = new RawWorker(`tcp://127.0.0.1:${port}`, close);
    server.on('stream', (stream, headers) => {
      if (headers[':path'] !== LINK) return stream.close();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const link = new RawWorkerLink(stream, worker.uid);
      worker.links.push(link);
      void serve(link);
    });
    return worker;
  }

  private constructor(address: string, close: () => void) {
    this.address = address;
    this.#close = close;
  }

  close(): void {
    this.#close();
  }
}

export class RawWorkerLink extends RawStream {
  readonly #uid: string;

  constructor(stream: ServerHttp2Stream, workerUid: string) {
    super(stream, true);
    this.#uid = workerUid;
  }

  async greet(maxCalls = 0): Promise<void> {
    const hello = { version: PROTOCOL_VERSION, uid: this.#uid, max_value_bytes: 1e9, window: 1e6 };
    await this.send({ call: 0, hello: { ...hello, max_calls: maxCalls } });
  }
}
