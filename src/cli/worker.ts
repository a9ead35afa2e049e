/** `skein worker`: one worker in the foreground. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isLoopback } from '../discovery/adapters/interfaces.ts';
import { parseAddress } from '../transport/address.ts';
import { Worker } from '../worker/host.ts';
import { markAsWorker } from '../worker/ipc.ts';
import { readAuthkey } from './authkey.ts';
import {
  type AuthorizeFlags,
  authorizedOf,
  type CredentialFlags,
  credentialsOf,
} from './credentials.ts';
import { checked, usage } from './failure.ts';
import { given } from './given.ts';
import { load } from './modules.ts';
import { type NatsFlags, natsOf } from './nats.ts';
import { discoveryOf } from './options.ts';
import { paint, print, say, warn } from './output.ts';
import { Signals } from './signals.ts';
import { prepareTypeScript } from './typescript.ts';

export interface WorkerFlags extends NatsFlags, AuthorizeFlags {
  readonly host?: string;
  readonly port?: number;
  readonly beatPort?: number;
  readonly tag?: readonly string[];
  readonly module?: readonly string[];
  readonly root?: string;
  readonly discovery?: string;
  readonly concurrency?: number;
  readonly grace?: number;
  readonly authkey?: string;
  readonly allowInline?: boolean;
  readonly hideStacks?: boolean;
  readonly json?: boolean;
}

/** Runs until it is stopped. Resolves to the exit code. */
export async function runWorker(
  flags: WorkerFlags,
  secret: string | undefined,
  natsServers: string | undefined,
): Promise<number> {
  // Before a module of the user's is loaded, which may ask.
  markAsWorker();
  surviveTasks();
  const authkey = await readAuthkey(flags.authkey, secret);
  const { host, port, beatPort, tag: tags, concurrency, allowInline, discovery: which } = flags;
  const credentials = credentialsOf(flags);
  const nats = await natsOf(flags, natsServers);
  const authorize = authorizedOf(flags, credentials, nats !== undefined);
  const discovery = which === undefined ? undefined : discoveryOf(which, nats);
  // Callers name modules of this program, and none of the rest of this machine.
  const root = folderOf(flags.root);
  await prepareTypeScript(root);
  const onTcp = [host, port, beatPort].some((place) => place !== undefined) || isFoundOnTcp(which);
  const transport = nats && (onTcp ? (['tcp', nats.transport] as const) : nats.transport);
  const places = { host, port, beatPort, transport };
  const trust = { authkey, credentials, authorize, exposeStacks: exposesStacks(flags) };
  const options = { ...places, tags, root, concurrency, allowInline, ...trust };
  const worker = checked('skein worker', () => {
    return new Worker(given({ ...options, discovery: discovery && (() => discovery) }), {
      ownProcess: true,
    });
  });
  const signals = new Signals('the worker waits for its tasks', () => {
    void worker.stop(flags.grace ?? Number.POSITIVE_INFINITY);
  });
  for (const module of flags.module ?? []) await load(module, root);
  const address = await worker.start();
  warnIfOpen(address, authkey !== undefined || isMutual(flags, credentials));
  nats?.warnIfOpen(authkey !== undefined);
  if (flags.json) {
    // Who has the address of a beat can end its worker.
    const { beat: _beat, ...shown } = { beat: undefined, ...worker.metadata };
    await print(JSON.stringify(shown));
  } else {
    const found = which === undefined ? '' : `, found by ${which}`;
    const uid = paint('bold', worker.uid.slice(0, 8));
    await print(`worker ${uid} listens at ${paint('cyan', address)}${found}`);
  }
  await worker.stopped;
  return signals.exitCode ?? 0;
}

/** Whether those who find workers there can't reach them over NATS alone. */
export function isFoundOnTcp(discovery: string | undefined): boolean {
  return discovery === 'lan' || discovery?.startsWith('lan:') === true;
}

/** @throws Failure when it is no folder */
export function folderOf(root = '.'): string {
  const folder = resolve(root);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return folder;
  throw usage(`--root ${root}: there is no folder ${folder}`);
}

/** Whether errors take stacks along; undefined for what is usual. */
export function exposesStacks({ hideStacks }: WorkerFlags): boolean | undefined {
  return hideStacks ? false : undefined;
}

/** Whether callers must show certificates. */
export function isMutual(flags: CredentialFlags, credentials: unknown): boolean {
  return credentials !== undefined && !flags.oneWay;
}

/** Whoever can connect can have code run. */
export function warnIfOpen(address: string, isGuarded: boolean): void {
  if (isGuarded || !address.startsWith('tcp:')) return;
  const place = parseAddress(address);
  if (place.scheme !== 'tcp' || isLoopback(place.host)) return;
  warn(
    `whoever reaches ${address} can run routines: give it an authkey, or certificates (see skein --help)`,
  );
}

/** A task's code must not end the worker for the other tasks. */
function surviveTasks(): void {
  process.on('unhandledRejection', (reason) => {
    say('A task, or a module that it needs, left a rejected promise behind:');
    console.error(reason);
  });
}
