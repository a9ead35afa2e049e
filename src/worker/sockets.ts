/** Folders for the sockets of workers, which no other user can reach. */
import { mkdtempSync, rmSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { WorkerStartError } from '../errors.ts';
import { MAX_SOCKET_PATH_BYTES } from '../transport/address.ts';
import { atExit } from './at-exit.ts';
import { beatBeside } from './options.ts';

const POOL_PREFIX = 'skein-';
const WORKER_PREFIX = 'skein-worker-';
const WORKER_SOCKET = 'worker.sock';
/** What `mkdtemp` puts behind a prefix. */
const RANDOM = 'XXXXXX';

/**
 * Makes the folder in which the workers of a pool have their sockets.
 *
 * @throws WorkerStartError that says what to do
 */
export function makeFolder(): string {
  return make(POOL_PREFIX, '9999999.sock', "use transport: 'tcp'");
}

/** The path if it is that of a folder that a pool makes: others are not ours to remove. */
export function poolFolder(path: string | undefined): string | undefined {
  if (path === undefined || dirname(path) !== resolve(tmpdir())) return undefined;
  return /^skein-\w{6}$/.test(basename(path)) ? path : undefined;
}

/** The socket of a worker that has a folder of its own. */
export interface OwnSocket {
  /** `unix:///...`; its beat is beside it. */
  readonly address: string;
  /** Removes the folder, which is also done when the process exits. */
  remove(): void;
}

const folders = new Set<string>();

/**
 * Makes a folder for the socket of one worker, and tidies up after those whose processes were killed.
 *
 * @throws WorkerStartError that says what to do
 */
export function ownSocket(): OwnSocket {
  const folder = make(
    WORKER_PREFIX,
    beatBeside(WORKER_SOCKET),
    'give the worker a host or an address',
  );
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  const release = atExit(removeFolder);
  folders.add(folder);
  void tidy();
  return {
    address: `unix://${join(folder, WORKER_SOCKET)}`,
    remove: () => {
      removeFolder();
      folders.delete(folder);
      release();
    },
  };
}

function make(prefix: string, longest: string, other: string): string {
  const parent = resolve(tmpdir());
  const ways = `set TMPDIR to another folder, or ${other}`;
  const bytes = Buffer.byteLength(join(parent, `${prefix}${RANDOM}`, longest));
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new WorkerStartError(
      `the path of ${parent} is too long for the workers' sockets, which would have ${bytes} bytes ` +
        `of at most ${MAX_SOCKET_PATH_BYTES}: ${ways}`,
    );
  }
  try {
    // For this user alone.
    return mkdtempSync(join(parent, prefix));
  } catch (cause) {
    throw new WorkerStartError(
      `no folder for the workers' sockets can be made in ${parent} (${(cause as Error).message}): ${ways}`,
      { cause },
    );
  }
}

/** Removes the folders of this user's workers whose sockets nobody listens on any more. */
async function tidy(): Promise<void> {
  const parent = resolve(tmpdir());
  const names = await readdir(parent).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(WORKER_PREFIX)) continue;
    const folder = join(parent, name);
    try {
      if (!folders.has(folder) && (await isLeft(folder))) await rm(folder, { recursive: true });
    } catch {
      // Another worker does the same, or it is not for us.
    }
  }
}

async function isLeft(folder: string): Promise<boolean> {
  const stats = await lstat(folder);
  if (!stats.isDirectory() || stats.uid !== process.getuid?.()) return false;
  const socket = join(folder, WORKER_SOCKET);
  // The beat answers also for a process that is busy.
  return (await isRefused(beatBeside(socket))) && (await isRefused(socket));
}

/** Whether there is a socket on which nobody listens. */
async function isRefused(path: string): Promise<boolean> {
  return await new Promise((settle) => {
    const socket = connect({ path });
    socket.unref();
    socket.once('connect', () => {
      socket.destroy();
      settle(false);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => settle(code === 'ECONNREFUSED'));
  });
}
