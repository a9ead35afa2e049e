/** Where the command takes the authkey from: a file, standard input, or the environment. */
import { readFile, stat } from 'node:fs/promises';
import { usage } from './failure.ts';
import { warn } from './output.ts';

const VARIABLE = 'SKEIN_AUTHKEY';
const MAX_BYTES = 64 * 1024;
/** Others than the owner and the group. */
const WORLD_READABLE = 0o004;

/** For the environment's own sake: processes that are started from now on do not have it. */
export function takeFromEnvironment(): string | undefined {
  const key = process.env[VARIABLE];
  delete process.env[VARIABLE];
  return key;
}

/**
 * The authkey; undefined for none. A line feed at its end is left out.
 *
 * @param file what `--authkey` says: a path, or `-` for standard input
 * @param fallback what the environment says
 */
export async function readAuthkey(
  file: string | undefined,
  fallback: string | undefined,
): Promise<Uint8Array | undefined> {
  if (file === undefined) {
    if (fallback === '') throw usage(`${VARIABLE} is empty: give it a key, or unset it`);
    return fallback === undefined ? undefined : Buffer.from(fallback);
  }
  const bytes = file === '-' ? await readStandardInput() : await readKeyFile(file);
  const key = withoutLineFeed(bytes);
  const where = file === '-' ? 'standard input' : `the authkey file ${file}`;
  if (key.length === 0) throw usage(`${where} is empty: there is no authkey in it`);
  if (key.length > MAX_BYTES) {
    throw usage(`${where} has more than ${MAX_BYTES} bytes: that is no authkey`);
  }
  return key;
}

async function readKeyFile(file: string): Promise<Buffer> {
  try {
    const bytes = await readFile(file);
    const { mode } = await stat(file);
    if (process.platform !== 'win32' && mode & WORLD_READABLE) {
      warn(`every user of this machine can read the authkey file ${file}: chmod 600 ${file}`);
    }
    return bytes;
  } catch (error) {
    // What it says may be the key itself, which is not to be shown once more.
    throw usage(
      `--authkey takes the path of a file that has the key, and the one given can't be read (${(error as { code?: string }).code}). ` +
        'If it is the key itself: others may have seen it, since command lines show in the list of processes. ' +
        `Make a new one, and put it into a file, or into the environment variable ${VARIABLE}`,
    );
  }
}

async function readStandardInput(): Promise<Buffer> {
  if (process.stdin.isTTY) throw usage('--authkey -: pipe the key into standard input');
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
    length += (chunk as Buffer).length;
    if (length > 2 * MAX_BYTES) break;
  }
  return Buffer.concat(chunks);
}

function withoutLineFeed(bytes: Buffer): Buffer {
  const end = bytes.at(-1) === 0x0a ? (bytes.at(-2) === 0x0d ? 2 : 1) : 0;
  return bytes.subarray(0, bytes.length - end);
}
