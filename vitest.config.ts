import { availableParallelism } from 'node:os';
import { transform } from 'esbuild';
import { defineConfig } from 'vitest/config';

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

const MUTANTS = 'test/property/mutants.test.ts';

/** What workers and programs load TypeScript by; a Node that can do so itself needs nothing. */
const tsx = new URL('test/loader/tsx.js', import.meta.url).href;

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
          // \`process\`, such as the time it has used, is that of all of them.
          pool: 'threads',
        },
      },
      {
        extends: true,
        test: {
          name: 'property',
          include: ['test/property/**/*.test.ts'],
          exclude: [MUTANTS],
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
          name: 'integration',
          // Workers are started with the options of the process that opens the pool.
          execArgv: 'typescript' in process.features ? [] : ['--import', tsx],
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/integration/skipped.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          // These start processes of their own. They run after the others, so that nothing that
          // measures time shares the machine with a property test.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
