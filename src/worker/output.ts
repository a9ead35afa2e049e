/** What worker processes print, line by line, each line with the name of its worker. */
import type { ChildProcess } from 'node:child_process';
import { readSync } from 'node:fs';
import type { Socket } from 'node:net';
import { shortUid } from '../actors/steps.ts';
import type { RuntimeLog } from '../logger.ts';
import { Lines } from './lines.ts';
import { Sink, type StreamName } from './sink.ts';

/** So long after a process has exited the last of what it printed has come, unless a child of its own holds on. */
const LINGER_MS = 500;
const CHUNK_BYTES = 65_536;

/** Who prints: it has no uid before it has come up. */
export interface Speaker {
  readonly pid: number | undefined;
  readonly uid: string | undefined;
}

/** What the processes of one pool print. It keeps no process alive. */
export class WorkerOutput {
  readonly #log: RuntimeLog;
  readonly #sinks: Readonly<Record<StreamName, Sink>>;
  readonly #live = new Set<Source>();
  /** Those that are not read until their sink has taken what they gave. */
  readonly #held = new Map<StreamName, Set<Source>>();
  readonly #ends = new Set<Promise<void>>();

  /** @param stdout which stream of this process takes what they print on their standard output */
  constructor(log: RuntimeLog, stdout: StreamName = 'stdout') {
    this.#log = log;
    const stderr = new Sink('stderr');
    this.#sinks = { stdout: stdout === 'stderr' ? stderr : new Sink('stdout'), stderr };
  }

  /** Forwards what a process prints, and what others print that it leaves its streams to. */
  forward(child: ChildProcess, speaker: Speaker): void {
    const sources = (['stdout', 'stderr'] as const).flatMap((name) => {
      const socket = child[name] as Socket | null | undefined;
      // A process that could not be started may have none.
      if (!socket) return [];
      const give = (line: string) => this.#give(speaker, name, line);
      return new Source(name, socket, give, (source) => this.#flush(source));
    });
    for (const source of sources) {
      this.#live.add(source);
      void source.ended.then(() => this.#live.delete(source));
    }
    const late = new Promise<void>((resolve) => {
      const look = () => {
        if (sources.some(({ name }) => this.#held.has(name))) wait();
        else resolve();
      };
      const wait = () => setTimeout(look, LINGER_MS).unref();
      child.once('exit', wait);
    });
    const all = Promise.all(sources.map(({ ended }) => ended)).then(() => {});
    const end = Promise.race([all, late]).finally(() => this.#ends.delete(end));
    this.#ends.add(end);
  }

  /** Resolves when the last lines of all processes were given; they must have ended, or be about to. */
  async flushed(): Promise<void> {
    await Promise.all(this.#ends);
  }

  /** Gives what has come by now: for a process that ends, and reads no more. */
  drain(): void {
    for (const source of this.#live) source.drain();
  }

  #give({ pid, uid }: Speaker, stream: StreamName, line: string): void {
    if (this.#log.isGiven) {
      const level = stream === 'stdout' ? 'info' : 'warn';
      this.#log.write(level, { worker: uid, pid, stream }, line);
    } else {
      this.#sinks[stream].add(`[${uid === undefined ? `pid ${pid}` : shortUid(uid)}] ${line}`);
    }
  }

  /** Writes what a source gave, and reads no more of it while that waits in memory. */
  #flush(source: Source): void {
    const { name } = source;
    const sink = this.#sinks[name];
    sink.flush();
    if (!sink.isFull) return;
    source.pause();
    const others = this.#held.get(name);
    if (others) return void others.add(source);
    const held = new Set([source]);
    this.#held.set(name, held);
    sink.whenFree(() => {
      this.#held.delete(name);
      for (const one of held) one.resume();
    });
  }
}

/** One stream of one process. */
class Source {
  readonly name: StreamName;
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #lines: Lines;
  readonly #gave: () => void;
  #over = false;

  /** @param gave called after lines were given */
  constructor(
    name: StreamName,
    socket: Socket,
    line: (line: string) => void,
    gave: (source: Source) => void,
  ) {
    this.name = name;
    this.#socket = socket;
    this.#lines = new Lines(line);
    this.#gave = () => gave(this);
    socket.unref();
    socket.on('data', (bytes) => {
      this.#lines.push(bytes);
      this.#gave();
    });
    // The process is gone: nothing else goes wrong there.
    socket.on('error', () => {});
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.#end();
        resolve();
      });
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Reads without the event loop what has come by now. */
  drain(): void {
    const { fd } = (this.#socket as unknown as { _handle?: { fd?: number } })._handle ?? {};
    if (this.#over || fd === undefined || fd < 0) return;
    // What waits in the stream comes as 'data'.
    while (this.#socket.read() !== null);
    const bytes = Buffer.allocUnsafe(CHUNK_BYTES);
    try {
      for (let count = readSync(fd, bytes); count > 0; count = readSync(fd, bytes)) {
        this.#lines.push(bytes.subarray(0, count));
        this.#gave();
      }
    } catch {
      // Nothing is there at present: such a read never waits.
    }
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#lines.end();
    this.#gave();
  }
}
