/** The modules that are named on the command line. */
import { MainModuleError } from '../errors.ts';
import { loadLocal } from '../routine/modules.ts';
import { Failure, usage } from './failure.ts';

/**
 * Imports a module.
 *
 * @param module path from the current folder, or a name such as `my-app/src/routines.ts`
 * @returns the name by which its routines are known
 * @throws Failure when it is not there, or does not load
 */
export async function load(module: string): Promise<string> {
  try {
    return await loadLocal(module);
  } catch (error) {
    if (error instanceof MainModuleError) throw error;
    const { message, stack = message } = error as Error;
    if (error instanceof TypeError && message.startsWith('there is no module')) {
      throw usage(message);
    }
    throw new Failure(`the module ${module} does not load: ${stack ?? String(error)}`);
  }
}
