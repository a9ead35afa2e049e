/** Finds the files to count. */
import type { Dirent } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { describe, ExitError } from './errors.ts';

export interface TextFile {
  readonly path: string;
  readonly bytes: number;
}

/** A file or folder that was not counted. */
export interface Skipped {
  readonly path: string;
  readonly why: string;
}

export interface Found {
  readonly files: readonly TextFile[];
  readonly skipped: readonly Skipped[];
}

/**
 * All files below `folder` with one of the endings, in the order of their paths.
 *
 * @throws ExitError when the folder is missing, is none, or has no such file
 */
export async function findFiles(folder: string, extensions: readonly string[]): Promise<Found> {
  await checkFolder(folder);
  const files: TextFile[] = [];
  const skipped: Skipped[] = [];
  const take = async (entry: Dirent, path: string) => {
    if (!extensions.includes(extname(path).slice(1).toLowerCase())) return;
    if (entry.isSymbolicLink()) skipped.push({ path, why: 'is a symbolic link' });
    else if (!entry.isFile()) skipped.push({ path, why: 'is no regular file' });
    else files.push({ path, bytes: (await lstat(path)).size });
  };
  const walk = async (parent: string) => {
    for (const entry of await readdir(parent, { withFileTypes: true })) {
      const path = join(parent, entry.name);
      try {
        if (entry.isDirectory()) await walk(path);
        else await take(entry, path);
      } catch (error) {
        skipped.push({ path, why: describe(error) });
      }
    }
  };
  try {
    await walk(folder);
  } catch (error) {
    throw new ExitError(`can't read '${folder}': ${describe(error)}`, 1);
  }
  if (files.length === 0) throw nothing(folder, extensions, skipped);
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files, skipped };
}

async function checkFolder(folder: string): Promise<void> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(folder)).isDirectory();
  } catch (error) {
    const missing = (error as { code?: unknown }).code === 'ENOENT';
    const message = missing
      ? `no folder '${folder}'`
      : `can't read '${folder}': ${describe(error)}`;
    throw new ExitError(message, 1);
  }
  if (!isFolder) throw new ExitError(`'${folder}' is not a folder`, 1);
}

function nothing(folder: string, extensions: readonly string[], skipped: readonly Skipped[]) {
  const endings = extensions.map((ending) => `.${ending}`).join(' or ');
  const problems = skipped.map(({ path, why }) => `\n  ${path}: ${why}`).join('');
  return new ExitError(`no ${endings} files in '${folder}'${problems}`, 1);
}
