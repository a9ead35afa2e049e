/** The modules that are named on the command line. */
import { MainModuleError, SkeinError } from '../errors.ts';
import { runtimeFrames } from '../routine/frames.ts';
import { loadLocal } from '../routine/modules.ts';
import { Failure, usage } from './failure.ts';

/**
 * Imports a module.
 *
 * @param module path from the current folder, or a name such as `my-app/src/routines.ts`
 * @param root folder where packages are looked for
 * @returns the name by which its routines are known
 * @throws Failure when it is not there, or does not load
 */
export async function load(module: string, root = process.cwd()): Promise<string> {
  try {
    return await loadLocal(module, { root, files: true });
  } catch (error) {
    if (error instanceof MainModuleError) throw error;
    const failed = `the module ${module} does not load`;
    if (!(error instanceof Error)) throw new Failure(`${failed}: ${String(error)}`);
    if (error instanceof SkeinError) throw new Failure(`${failed}: ${error.message}`);
    const { message, stack = message } = error;
    if (error instanceof TypeError && message.startsWith('there is no module')) {
      throw usage(message);
    }
    throw new Failure(`${failed}: ${framesOfUser(stack)}`);
  }
}

/** The frames of what the command loads: those below are the command's own, and what Node does says nothing. */
function framesOfUser(stack: string): string {
  const lines = stack.split('\n');
  const own = lines.findIndex((line) => runtimeFrames.isOwn(line));
  const above = own === -1 ? lines : lines.slice(0, own);
  return above.filter((line) => !/^\s+at .*\(?node:internal\//.test(line)).join('\n');
}
