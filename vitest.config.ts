import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';
import { defineConfig } from 'vitest/config';
import { noNats } from './test/integration/nats-server.ts';

/** Vite's own compiler of TypeScript leaves decorators in the code, and Node has none. */
const decorators = {
  name: 'decorators',
  enforce: 'pre' as const,
  async transform(code: string, file: string) {
    if (!file.endsWith('.ts') || !/^\s*@\w/m.test(code)) return undefined;
    const options = { loader: 'ts', target: 'node20', sourcefile: file, sourcemap: true } as const;
    return await transform(code, options);
  },
};

/**
 * Files about what depends on what carries the calls: frames of all kinds and sizes, backpressure, what is lost and found,
 * how workers are reached and stopped. They run once more over NATS; names, codecs, balancers and the rules of
 * chains are above all that.
 */
const OVER_NATS = [
  ...['backpressure', 'cancellation', 'context', 'context-large', 'detached', 'errors', 'faults'],
  ...['flow', 'generators', 'idempotent', 'nested', 'pool', 'pools', 'status', 'stop', 'worker'],
].map((name) => `test/integration/${name}.test.ts`);

const MUTANTS = 'test/property/mutants.test.ts';

/** What workers and programs load TypeScript by; a Node that can do so itself needs nothing. */
const tsx = new URL('test/loader/tsx.js', import.meta.url).href;

/** For tests that start processes of their own. */
const withProcesses = {
  // Node 22 and later keep what they compiled, which halves the time in which a worker starts.
  env: {
    NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/skein-tests', import.meta.url)),
  },
  // Workers are started with the options of the process that opens the pool.
  execArgv: 'typescript' in process.features ? [] : ['--import', tsx],
  testTimeout: 30_000,
  hookTimeout: 30_000,
  // They run after the others, so that nothing that measures time shares the machine with a property test.
  // Each waits for other processes half of its time: more of them than cores keep two cores busy.
  maxWorkers: 3,
  sequence: { groupOrder: 1 },
};

const overNats = {
  extends: true as const,
  test: {
    ...withProcesses,
    name: 'nats',
    include: OVER_NATS,
    globalSetup: ['test/integration/sources-setup.ts', 'test/integration/nats-setup.ts'],
  },
};

export default defineConfig({
  plugins: [decorators],
  test: {
    pool: 'forks',
    restoreMocks: true,
    // By default one core is left alone, which of two is half of them.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 10_000,
          // Many short files: a thread starts in less time than a process. What a test asks of
          // \`process\`, such as the time it has used, is that of all of them; and the modules that they test are
          // loaded once, which is half of their time.
          pool: 'threads',
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'property',
          include: ['test/property/**/*.test.ts'],
          exclude: [MUTANTS],
          isolate: false,
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        // What they try is the checkers of the simulation: the quick tests go without.
        test: { name: 'mutants', include: [MUTANTS], testTimeout: 60_000 },
      },
      {
        extends: true,
        test: {
          ...withProcesses,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/integration/sources-setup.ts', 'test/integration/skipped.ts'],
        },
      },
      ...(noNats === undefined ? [overNats] : []),
    ],
  },
});
