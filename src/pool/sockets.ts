/** The folder in which the workers of a pool have their sockets. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { WorkerStartError } from '../errors.ts';
import { MAX_SOCKET_PATH_BYTES } from '../transport/address.ts';

/**
 * Makes a folder for sockets.
 *
 * @throws WorkerStartError that says what to do
 */
export function makeFolder(): string {
  const parent = resolve(tmpdir());
  const ways = "set TMPDIR to another folder, or use transport: 'tcp'";
  const bytes = Buffer.byteLength(join(parent, 'skein-XXXXXX', '9999999.sock'));
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new WorkerStartError(
      `the path of ${parent} is too long for the workers' sockets, which would have ${bytes} bytes ` +
        `of at most ${MAX_SOCKET_PATH_BYTES}: ${ways}`,
    );
  }
  try {
    // For this user alone.
    return mkdtempSync(join(parent, 'skein-'));
  } catch (cause) {
    throw new WorkerStartError(
      `no folder for the workers' sockets can be made in ${parent} (${(cause as Error).message}): ${ways}`,
      { cause },
    );
  }
}
