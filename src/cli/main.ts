#!/usr/bin/env node
/** The `skein` command. */
import { takeFromEnvironment } from './authkey.ts';
import { exitCodeOf, isExpected } from './failure.ts';
import { takeNatsFromEnvironment } from './nats.ts';
import { inWordsOfCommand, paint, say, surviveClosedPipes, warn } from './output.ts';
import { runProgram } from './program.ts';

async function main(): Promise<number> {
  surviveClosedPipes();
  restyleWarnings();
  // No process that is started from here shall have them.
  const secret = takeFromEnvironment();
  const nats = takeNatsFromEnvironment();
  // Each command loads its own parts, so that help comes at once.
  return await runProgram(process.argv.slice(2), {
    worker: async (flags) => (await import('./worker.ts')).runWorker(flags, secret, nats),
    up: async (flags) => (await import('./pool-up.ts')).poolUp(flags, secret, nats),
    supervise: async () => (await import('./detach.ts')).superviseDetached(),
    down: async (flags) => (await import('./pool.ts')).poolDown(flags, secret),
    list: async (flags) => (await import('./pool.ts')).poolList(flags, secret),
    ping: async (flags) => (await import('./pool.ts')).ping(flags, secret),
    run: async (...given) => (await import('./run.ts')).runRoutine(...given, secret, nats),
  });
}

/** Warnings of the process look as those of the command do, unless Node was told to print none. */
function restyleWarnings(): void {
  if (process.listenerCount('warning') === 0) return;
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message }) => {
    warn(inWordsOfCommand(name.startsWith('Skein') ? message : `${name}: ${message}`));
  });
}

function complain(error: unknown): void {
  const text = isExpected(error)
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);
  say(`${paint('red', 'error:', process.stderr)} ${inWordsOfCommand(text)}`);
}

async function run(): Promise<void> {
  let code: number;
  try {
    code = await main();
  } catch (error) {
    complain(error);
    code = exitCodeOf(error);
  }
  // A module of the user's may have left something running. What was printed is written before.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

void run();
