/** Which process a record is of. A pid alone is used again; with the time of its start it is not. */
import { readFileSync, readlinkSync } from 'node:fs';

/** What this system says of all its processes; undefined where there is no /proc. */
interface System {
  readonly boot: string;
  /** Which pids mean the same processes. */
  readonly namespace: string;
}

let system: System | undefined | null = null;

/**
 * A process as text that no other process has had: the system's start, the namespace of its pid, and the
 * clock tick in which it began. Undefined when none runs with this pid. Where there is no /proc it is
 * empty, and the pid alone must do.
 */
export function processStart(pid: number): string | undefined {
  const { boot, namespace } = currentSystem() ?? {};
  if (boot === undefined) return exists(pid) ? '' : undefined;
  const tick = startTick(pid);
  return tick === undefined ? undefined : `${boot} ${namespace} ${tick}`;
}

/**
 * Whether the process runs that had this pid and this start. Also true when that can't be told: without
 * /proc of any process with the pid, and of one in another container.
 */
export function isRunning(pid: number, start: string): boolean {
  const here = currentSystem();
  const [boot, namespace, tick] = start.split(' ');
  if (here === undefined || tick === undefined) return exists(pid);
  if (boot !== here.boot) return false;
  return namespace !== here.namespace || startTick(pid) === tick;
}

/** Whether it is a process of another container on this machine, of which nothing here tells whether it runs. */
export function isElsewhere(start: string): boolean {
  const here = currentSystem();
  const [boot, namespace, tick] = start.split(' ');
  return tick !== undefined && boot === here?.boot && namespace !== here?.namespace;
}

/** Whether some process has this pid; a small part of the cost of `isRunning`. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function currentSystem(): System | undefined {
  if (system === null) {
    try {
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      system = { boot, namespace: readlinkSync('/proc/self/ns/pid') };
      if (startTick(process.pid) === undefined) system = undefined;
    } catch {
      system = undefined;
    }
  }
  return system;
}

/** Field 22 of its stat; undefined when it does not run, also when it only waits to be reaped. */
function startTick(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is its name in brackets, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}
