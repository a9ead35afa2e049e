/** Modules in TypeScript, where Node does not load them by itself. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findTsx, mayLoadTypeScript } from '../routine/typescript.ts';

/**
 * Lets this process, and those that it starts, load TypeScript by `tsx`, if that is installed for the
 * program. Before a module is imported: Node remembers those that it could not load.
 *
 * @param folder of the program
 */
export async function prepareTypeScript(folder: string): Promise<void> {
  if (mayLoadTypeScript()) return;
  const url = findTsx([pathToFileURL(join(folder, 'program.js')).href]);
  if (url === undefined) return;
  try {
    await import(url);
  } catch {
    // Where a module needs it, it will be said that it is missing, or does not load.
    return;
  }
  process.execArgv.push('--import', url);
}
