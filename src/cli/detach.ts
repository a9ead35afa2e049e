/** `skein pool up --detach`: the pool in a process of its own, which outlives the terminal. */
import { fork } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_POOL_PORT } from '../control/place.ts';
import { ownFolder, usersFolder } from '../discovery/adapters/own-folder.ts';
import { exitCodeOf, Failure } from './failure.ts';
import { say } from './output.ts';
import { supervise, type UpFlags, type UpReport } from './supervise.ts';

/** To the process in the background. The authkey comes this way, which shows it to nobody. */
interface Setup {
  readonly flags: UpFlags;
  readonly authkey: string | undefined;
}

/** From there. */
type Answer = { readonly up: UpReport } | { readonly failed: string; readonly exitCode: number };

/** Resolves when the pool is up. */
export async function detach(
  flags: UpFlags,
  authkey: Uint8Array | undefined,
): Promise<{ report: UpReport; log: string }> {
  const log = await logFile(flags.port ?? DEFAULT_POOL_PORT);
  const output = openSync(log, 'a', 0o600);
  const child = fork(entry(), ['pool', 'supervise'], {
    detached: true,
    stdio: ['ignore', output, output, 'ipc'],
  });
  closeSync(output);
  const answer = new Promise<Answer>((resolve) => {
    child.once('message', (message) => resolve(message as Answer));
    child.once('error', (error) => resolve({ failed: error.message, exitCode: 1 }));
    child.once('exit', (code, signal) => {
      resolve({ failed: `its process has ended (${signal ?? code})`, exitCode: 1 });
    });
  });
  const setup: Setup = {
    flags: { ...flags, detach: false },
    authkey: authkey && Buffer.from(authkey).toString('base64'),
  };
  child.send(setup);
  const told = await answer;
  if ('failed' in told) {
    throw new Failure(
      `the pool did not come up: ${told.failed}\nits output is in ${log}`,
      told.exitCode,
    );
  }
  child.disconnect();
  child.unref();
  return { report: told.up, log };
}

/** The process in the background. Resolves to its exit code. */
export async function superviseDetached(): Promise<number> {
  const { flags, authkey } = await new Promise<Setup>((resolve) => {
    process.once('message', (message) => resolve(message as Setup));
  });
  // Each pool of this port writes to the same file.
  say(`--- ${new Date().toISOString()}: a pool starts (process ${process.pid})`);
  const tell = (answer: Answer) =>
    new Promise<void>((sent) => {
      if (process.send === undefined || !process.connected) sent();
      else process.send(answer, undefined, undefined, () => sent());
    });
  // Who started it is gone before it was up, and wants it no more.
  const alone = () => process.exit(1);
  process.once('disconnect', alone);
  try {
    const key = authkey === undefined ? undefined : Buffer.from(authkey, 'base64');
    return await supervise(flags, key, async (report) => {
      process.off('disconnect', alone);
      await tell({ up: report });
    });
  } catch (error) {
    process.off('disconnect', alone);
    await tell({ failed: (error as Error).message, exitCode: exitCodeOf(error) });
    throw error;
  }
}

function entry(): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(`./main${extension}`, import.meta.url));
}

async function logFile(port: number): Promise<string> {
  const parent = usersFolder();
  await ownFolder(parent);
  // No namespace has such a name.
  const folder = join(parent, '.pools');
  await ownFolder(folder);
  return join(folder, `pool-${port}.log`);
}
