/** What the encoder lets through, the decoder takes: in a process that has decoded nothing before, too. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { names } from '../fixtures/nesting.ts';
import { TYPESCRIPT } from './helpers.ts';

const script = join(import.meta.dirname, '../fixtures/nesting.ts');
/** In KB: two thirds of the default. */
const stack = Math.floor(984 / 1.5);

describe('nesting as deep as is allowed needs two thirds of the stack', () => {
  test.each(names)('%s', async (name) => {
    const args = [`--stack-size=${stack}`, ...TYPESCRIPT, script, name];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toBe('ok\n');
  });
});
