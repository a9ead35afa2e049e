/**
 * Hosts for tests, joined by networks: each is a network namespace, and so is the switch that joins them.
 * Nothing of it touches the machine's own network. Needs Linux, `ip`, and the right to make namespaces.
 */
import { execFileSync, type SpawnOptions } from 'node:child_process';
import { isAlive, runScript, type Script } from './helpers.ts';

const PREFIX = 'skein-test';
let made = 0;

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Why this machine can't have them; undefined when it can. */
export function noHosts(): string | undefined {
  const name = `${PREFIX}-${process.pid}-try`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return `no network namespaces can be made here: ${(stderr || message).trim()}`;
  }
}

export class Host {
  /** By the name of the network. */
  readonly addresses: Readonly<Record<string, string>>;
  readonly #namespace: string;
  readonly #scripts: Script[] = [];

  constructor(namespace: string, addresses: Record<string, string>) {
    this.#namespace = namespace;
    this.addresses = addresses;
  }

  /** Its address in the network that it is in, if it is one. */
  get address(): string {
    return Object.values(this.addresses)[0] ?? '';
  }

  /** The same as `runScript`, on this host. */
  run(file: string, args: string[] = [], options: SpawnOptions = {}): Script {
    const script = runScript(file, args, options, ['ip', 'netns', 'exec', this.#namespace]);
    this.#scripts.push(script);
    return script;
  }

  /** Pulls its cables. */
  cut(): void {
    for (const network of Object.keys(this.addresses)) this.#set(network, 'down');
  }

  /** Puts them in again. */
  mend(): void {
    for (const network of Object.keys(this.addresses)) this.#set(network, 'up');
  }

  async end(): Promise<void> {
    for (const { child } of this.#scripts) child.kill('SIGKILL');
    await Promise.all(this.#scripts.map(({ ended }) => ended));
  }

  #set(network: string, state: 'up' | 'down'): void {
    ip('-n', this.#namespace, 'link', 'set', network, state);
  }
}

/** What was given as the networks that each host is in. */
export class Hosts<Name extends string> implements AsyncDisposable {
  readonly #namespaces: string[] = [];
  readonly #hosts = new Map<string, Host>();

  private constructor() {}

  /**
   * Hosts by their names, each with the networks that it is in; no two networks are joined.
   *
   * @example `Hosts.make({ a: ['left'], b: ['left', 'right'], c: ['right'] })`
   */
  static async make<Name extends string>(
    wanted: Record<Name, readonly string[]>,
  ): Promise<Hosts<Name>> {
    sweep();
    const hosts = new Hosts<Name>();
    try {
      hosts.#make(wanted);
      return hosts;
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
  }

  get(name: Name): Host {
    return this.#hosts.get(name) as Host;
  }

  /** Ends all programs of the hosts, and removes them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.end()));
    for (const namespace of this.#namespaces.splice(0)) ip('netns', 'del', namespace);
  }

  #make(wanted: Record<Name, readonly string[]>): void {
    made += 1;
    const id = `${PREFIX}-${process.pid}-${made}`;
    const all = Object.entries<readonly string[]>(wanted);
    const networks = [...new Set(all.flatMap(([, networks]) => networks))];
    const middle = this.#namespace(`${id}-switch`);
    for (const network of networks) {
      ip('-n', middle, 'link', 'add', network, 'type', 'bridge', 'mcast_snooping', '0');
      ip('-n', middle, 'link', 'set', network, 'up');
    }
    for (const [index, [name, joined]] of all.entries()) {
      const namespace = this.#namespace(`${id}-${name}`);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      const addresses: Record<string, string> = {};
      for (const network of joined) {
        const address = `10.77.${networks.indexOf(network) + 1}.${index + 1}`;
        const port = `p${index}.${network}`.slice(0, 15);
        const ends = ['peer', 'name', port, 'netns', middle];
        ip('-n', namespace, 'link', 'add', network, 'type', 'veth', ...ends);
        ip('-n', middle, 'link', 'set', port, 'master', network, 'up');
        ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', network);
        ip('-n', namespace, 'link', 'set', network, 'up');
        addresses[network] = address;
      }
      this.#hosts.set(name, new Host(namespace, addresses));
    }
  }

  #namespace(name: string): string {
    ip('netns', 'add', name);
    this.#namespaces.push(name);
    return name;
  }
}

/** Removes what a test run has left that was killed. */
function sweep(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const [name = ''] = line.split(' ');
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    try {
      ip('netns', 'del', name);
    } catch {
      // Another test run was quicker.
    }
  }
}
