/** Folders that nobody but the user can write to, read or replace. */
import { statSync } from 'node:fs';
import { lstat, mkdir } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { DiscoveryError } from '../../errors.ts';

/** Where this user's namespaces are. */
export function usersFolder(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (runtime !== undefined && isOwn(runtime)) return join(runtime, 'skein');
  // Windows has no uids, and a temporary folder for each user.
  const user = process.getuid?.() ?? userInfo().username.replace(/[^A-Za-z0-9]/g, '_');
  return join(tmpdir(), `skein-${user}`);
}

/** After `su` it is the folder of the user before. */
function isOwn(folder: string): boolean {
  if (!isAbsolute(folder)) return false;
  try {
    const stats = statSync(folder);
    return stats.isDirectory() && isUsers(stats.uid) && (stats.mode & 0o022) === 0;
  } catch {
    return false;
  }
}

function isUsers(uid: number): boolean {
  return process.getuid === undefined || process.getuid() === uid;
}

/**
 * Makes the folder unless it is there, and says which it is: a folder that replaces it has another
 * number.
 *
 * @throws DiscoveryError when it is a link, another user's, or open to others
 */
export async function ownFolder(path: string): Promise<number> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new DiscoveryError(`The folder ${path} can't be made: ${(cause as Error).message}.`, {
        cause,
      });
    }
  }
  const stats = await lstat(path);
  const { uid, mode, ino } = stats;
  const refuse = (why: string) => {
    throw new DiscoveryError(`Workers are not looked for in ${path}: ${why}.`);
  };
  if (stats.isSymbolicLink()) refuse('it is a symbolic link, and who knows where it leads next');
  if (!stats.isDirectory()) refuse('it is not a folder');
  if (!isUsers(uid)) {
    refuse(`it belongs to another user (uid ${uid}), who could announce workers in your name`);
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    const bits = (mode & 0o777).toString(8).padStart(3, '0');
    refuse(`others may use it too (mode ${bits}): chmod 700 it if you trust what is in it`);
  }
  return ino;
}
