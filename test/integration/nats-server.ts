/**
 * Servers of NATS for tests: real ones, each a process of its own on the loopback, with ports that were free.
 * This module needs no test to run in.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Debian puts it where the PATH of most users does not look. */
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];

export const program = FOLDERS.map((folder) => join(folder, 'nats-server')).find((file) => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

/** Why this machine can't run it; undefined when it can. */
export const noNats: string | undefined =
  program === undefined
    ? 'there is no nats-server: install it (Debian and Ubuntu: apt-get install nats-server; macOS: brew install nats-server)'
    : undefined;

export interface NatsSettings {
  /** More lines of its configuration file: accounts, TLS, ... */
  readonly config?: string;
  /** Of its clients. Default: one that is free; the same again after `restart`. */
  readonly port?: number;
  /** In bytes. Default: 1 MiB. */
  readonly maxPayload?: number;
  /** Makes it one of a cluster; the URLs are those of others' `clusterUrl`. */
  readonly cluster?: { readonly routes: readonly string[] };
}

const START_MS = 15_000;

export class NatsServer {
  #settings: NatsSettings;
  readonly #folder = mkdtempSync(join(tmpdir(), 'skein-nats-'));
  #child: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #port = -1;
  #clusterPort = -1;
  #monitorUrl = '';
  #log = '';

  constructor(settings: NatsSettings) {
    this.#settings = settings;
    this.#port = settings.port ?? -1;
  }

  /** `nats://127.0.0.1:PORT` */
  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** For the routes of others of its cluster. */
  get clusterUrl(): string {
    return `nats://127.0.0.1:${this.#clusterPort}`;
  }

  /** Where it answers about itself, where its configuration says `http: "127.0.0.1:-1"`. */
  get monitorUrl(): string {
    return this.#monitorUrl;
  }

  /** What it has written so far, each start's. */
  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  async start(): Promise<this> {
    const config = join(this.#folder, 'nats.conf');
    writeFileSync(config, this.#config());
    const child = spawn(program ?? 'nats-server', ['-c', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    this.#guard = guarding(child.pid, this.#folder);
    child.stderr?.on('data', (data) => {
      this.#log += data;
    });
    let isOver = false;
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#log += String(error);
      });
      child.once('close', () => {
        isOver = true;
        resolve();
      });
    });
    const deadline = performance.now() + START_MS;
    while (!this.#readPorts(child.pid ?? 0)) {
      if (isOver || performance.now() > deadline) {
        await this.kill();
        throw new Error(`nats-server did not start: ${this.#log}`);
      }
      await sleep(5);
    }
    // Neither keeps the process of the tests alive.
    child.unref();
    (child.stderr as unknown as { unref(): void } | null)?.unref();
    return this;
  }

  /** Ends it at once: no word to anybody. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Lets it end in its own way. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Starts it again where it was, killed before if it runs; `settings` take the place of those that it had. */
  async restart(settings: NatsSettings = {}): Promise<void> {
    await this.kill();
    this.#settings = { ...this.#settings, ...settings };
    await this.start();
  }

  /** It does nothing any more, and its connections stay open. */
  pause(): void {
    this.signal('SIGSTOP');
  }

  resume(): void {
    this.signal('SIGCONT');
  }

  /** `SIGUSR2`: it tells its clients to go elsewhere, and ends later. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #config(): string {
    const { config = '', maxPayload, cluster } = this.#settings;
    const lines = [
      `listen: "127.0.0.1:${this.#port}"`,
      `ports_file_dir: "${this.#folder}"`,
      maxPayload === undefined ? '' : `max_payload: ${maxPayload}`,
    ];
    if (cluster !== undefined) {
      const routes = cluster.routes.map((route) => `"${route}"`).join(', ');
      lines.push(
        `cluster { name: "skein", listen: "127.0.0.1:${this.#clusterPort}", routes: [${routes}] }`,
      );
    }
    return [...lines, config, ''].join('\n');
  }

  /** What it writes when it is ready. */
  #readPorts(pid: number): boolean {
    try {
      const text = readFileSync(join(this.#folder, `nats-server_${pid}.ports`), 'utf8');
      const ports = JSON.parse(text) as Partial<
        Record<'nats' | 'tls' | 'cluster' | 'monitoring', string[]>
      >;
      const portOf = (urls: string[] = []) => Number(urls[0]?.split(':').at(-1) ?? -1);
      this.#port = portOf(ports.nats ?? ports.tls);
      this.#clusterPort = portOf(ports.cluster);
      this.#monitorUrl = ports.monitoring?.[0] ?? '';
      return this.#port > 0;
    } catch {
      return false;
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    child.ref();
    child.kill(signal);
    // One that is stopped ends when it goes on.
    if (signal !== 'SIGKILL') child.kill('SIGCONT');
    await this.#ended;
    this.#guard?.kill('SIGKILL');
  }
}

/** Ends a server, and removes its folder, when this process goes without having done so. */
function guarding(pid: number | undefined, folder: string): ChildProcess {
  const guard = spawn('sh', ['-c', `read -r _; kill -9 ${pid}; rm -rf '${folder}'`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return guard;
}

/** A server that runs; `await using` ends it. */
export async function startNats(settings: NatsSettings = {}): Promise<NatsServer> {
  return await new NatsServer(settings).start();
}

/** So many servers of one cluster, each of which knows of the others. */
export async function startNatsCluster(
  size = 3,
  settings: Omit<NatsSettings, 'port' | 'cluster'> = {},
): Promise<NatsServer[]> {
  const first = await startNats({ ...settings, cluster: { routes: [] } });
  const cluster = { routes: [first.clusterUrl] };
  const others = Array.from({ length: size - 1 }, () => startNats({ ...settings, cluster }));
  const servers = [first, ...(await Promise.all(others))];
  const deadline = performance.now() + START_MS;
  while (servers.some(({ log }) => countOf(log, 'Route connection created') < size - 1)) {
    if (performance.now() > deadline) throw new Error(`no cluster: ${servers[0]?.log}`);
    await sleep(5);
  }
  return servers;
}

function countOf(text: string, part: string): number {
  return text.split(part).length - 1;
}
