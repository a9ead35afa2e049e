/** Builds `dist/` from nothing: what tsc emits, and the generated code, which is JavaScript already. */
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
cpSync(join(root, 'src/wire/generated'), join(dist, 'wire/generated'), { recursive: true });
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const emit = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
});
if (emit.error) throw emit.error;
process.exitCode = emit.status ?? 1;
