/** Modules in TypeScript, where Node does not load them by itself: by `tsx`, if that is installed. */
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { RoutineNotFound } from '../errors.ts';

export function isTypeScript(module: string): boolean {
  return /\.[cm]?tsx?$/.test(module);
}

/** Whether this process may load TypeScript as it is: by Node itself, or by what Node was started with. */
export function mayLoadTypeScript(): boolean {
  const itself = 'typescript' in process.features && process.features.typescript;
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  const loader = /(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader)\b/;
  return Boolean(itself) || loader.test(options);
}

/**
 * The entry of `tsx` that registers it when it is imported: what `--import tsx` takes. Undefined when it is
 * installed for none of them.
 *
 * @param places URLs of files that may have it in a `node_modules` above them, the best one first
 */
export function findTsx(places: readonly string[]): string | undefined {
  for (const place of places) {
    try {
      return pathToFileURL(createRequire(place).resolve('tsx')).href;
    } catch {
      // Not installed there: look in the next place.
    }
  }
  return undefined;
}

let registering: Promise<boolean> | undefined;

/**
 * Lets this process load TypeScript. Before a module is imported: Node 20 remembers those that it could not
 * load. Resolves to whether `tsx` is installed.
 *
 * @throws RoutineNotFound when it is, and does not load itself
 */
export async function registerTsx(module: string): Promise<boolean> {
  registering ??= register(module);
  try {
    if (await registering) return true;
  } catch (error) {
    registering = undefined;
    throw error;
  }
  // It may be in reach of the next module.
  registering = undefined;
  return false;
}

async function register(module: string): Promise<boolean> {
  const here = pathToFileURL(`${process.cwd()}/`).href;
  const url = findTsx([module, here, import.meta.url]);
  if (url === undefined) return false;
  try {
    await import(url);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RoutineNotFound(
      `${module} is TypeScript, and tsx, which is installed as ${fileURLToPath(url)}, does not load: ${why}`,
      { cause },
    );
  }
  return true;
}
