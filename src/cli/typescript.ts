/** Modules in TypeScript, where Node does not load them by itself. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export function isTypeScript(module: string): boolean {
  return /\.[cm]?tsx?$/.test(module);
}

/**
 * Lets this process, and those that it starts, load TypeScript by `tsx`, if that is installed for the
 * program. Before a module is imported: Node remembers those that it could not load.
 *
 * @param folder of the program
 */
export async function prepareTypeScript(folder: string): Promise<void> {
  const loads = 'typescript' in process.features && process.features.typescript;
  if (loads || hasLoader()) return;
  const url = find(folder);
  if (url === undefined) return;
  await import(url);
  process.execArgv.push('--import', url);
}

/** Whether Node was started with something that may load TypeScript. */
function hasLoader(): boolean {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  return /(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader)\b/.test(options);
}

function find(folder: string): string | undefined {
  try {
    return pathToFileURL(createRequire(join(folder, 'program.js')).resolve('tsx')).href;
  } catch {
    // Not installed: where a module needs it, it will be asked for.
    return undefined;
  }
}
