import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

// The floors and the purity rule of CONTRIBUTING.md are only as good as biome.json. Here each rule
// meets snippets that break it and some that do not. They are laid out as a small repository of
// their own, and linted in one run with our configuration.

const root = join(import.meta.dirname, '../..');

const RESTRICTED_IMPORT = 'style/noRestrictedImports';
const RESTRICTED_GLOBAL = 'style/noRestrictedGlobals';
const RESTRICTED_PROPERTY = 'nursery/noJsRestrictedProperties';
const CYCLE = 'suspicious/noImportCycles';

interface Snippet {
  readonly file: string;
  readonly code: string;
  /** The rules that must report it, in order of their names. */
  readonly rules: readonly string[];
}

const snippets: Snippet[] = [];

/** Puts a snippet into a room; `room` is a folder, or the file itself. */
function snippet(room: string, code: string, ...rules: string[]): Snippet {
  const file = room.endsWith('.ts') ? room : `${room}/snippet-${snippets.length}.ts`;
  const result = { file, code, rules };
  snippets.push(result);
  return result;
}

const allowed = (room: string, specifier: string) => snippet(room, `export * from '${specifier}';`);
const forbidden = (room: string, specifier: string, rule = RESTRICTED_IMPORT) =>
  snippet(room, `export * from '${specifier}';`, rule);

const floors = [
  forbidden('src/errors.ts', './wire/frame.ts'),
  allowed('src/env.ts', './errors.ts'),
  forbidden('src/logger.ts', './errors.ts'),
  forbidden('src/wire', '../logger.ts'),
  allowed('src/actors', '../logger.ts'),
  allowed('src/pool', '../logger.ts'),
  forbidden('src/wire', '../discovery/registry.ts'),
  forbidden('src/wire', '../transport/link.ts'),
  allowed('src/wire', '../errors.ts'),
  allowed('src/wire', './generated/worker.js'),
  forbidden('src/discovery', '../wire/frame.ts'),
  allowed('src/discovery', './roster.ts'),
  forbidden('src/discovery', './adapters/local.ts'),
  allowed('src/discovery/adapters', '../roster.ts'),
  allowed('src/discovery/adapters', './records.ts'),
  allowed('src/discovery/adapters', '../../errors.ts'),
  forbidden('src/discovery/adapters', '../../transport/address.ts'),
  forbidden('src/discovery/adapters', '../../wire/frame.ts'),
  forbidden('src/discovery/adapters', '../../pool/pool.ts'),
  forbidden('src/balancing', '../security/tls.ts'),
  forbidden('src/security', '../pool/pool.ts'),
  allowed('src/balancing', '../env.ts'),
  forbidden('src/context', '../transport/link.ts'),
  forbidden('src/context', '../routine/task.ts'),
  allowed('src/context', '../wire/frame.ts'),
  forbidden('src/transport', '../context/chain.ts'),
  forbidden('src/transport', '../actors/call.ts'),
  allowed('src/transport', '../security/tls.ts'),
  forbidden('src/routine', '../actors/call.ts'),
  forbidden('src/routine', '../testing/trace.ts'),
  allowed('src/routine', '../context/chain.ts'),
  forbidden('src/nats', '../routine/task.ts'),
  forbidden('src/nats', '../actors/call.ts'),
  forbidden('src/nats', '../context/chain.ts'),
  allowed('src/nats', '../transport/link.ts'),
  allowed('src/nats', '../discovery/roster.ts'),
  allowed('src/nats', './bus.ts'),
  forbidden('src/transport', '../nats/bus.ts'),
  forbidden('src/actors', '../nats/bus.ts'),
  forbidden('src/worker', '../nats/bus.ts'),
  forbidden('src/pool', '../nats/bus.ts'),
  forbidden('src/actors', '../worker/core.ts'),
  forbidden('src/actors', '../pool/pool.ts'),
  allowed('src/actors', '../routine/task.ts'),
  allowed('src/actors', './call.ts'),
  forbidden('src/worker', '../pool/pool.ts'),
  forbidden('src/worker', '../index.ts'),
  allowed('src/worker', '../actors/session.ts'),
  forbidden('src/testing', '../pool/pool.ts'),
  allowed('src/testing', '../worker/core.ts'),
  forbidden('src/control', '../pool/pool.ts'),
  forbidden('src/control', '../cli/main.ts'),
  allowed('src/control', '../worker/host.ts'),
  allowed('src/pool', '../control/discovery.ts'),
  forbidden('src/pool', '../testing/simulation.ts'),
  forbidden('src/pool', '../cli/main.ts'),
  allowed('src/index.ts', './pool/pool.ts'),
  allowed('src/cli', '../pool/pool.ts'),
];

const detours = [
  forbidden('src/actors', './../pool/pool.ts'),
  forbidden('src/actors', '../wire/../pool/pool.ts'),
  forbidden('src/actors', './charts/../../pool/pool.ts'),
  forbidden('src/actors', '../../src/pool/pool.ts'),
  forbidden('src/actors', 'skein'),
  snippet('src/actors', "export type { Pool } from '../pool/pool.ts';", RESTRICTED_IMPORT),
  snippet('src/actors', "export const a = import('../pool/pool.ts');", RESTRICTED_IMPORT),
  // A room or a file that is not in the table.
  forbidden('src/attic', '../errors.ts'),
  forbidden('src/attic.ts', './errors.ts'),
];

const circles = [
  snippet('src/actors/a.ts', "export { b as a } from './b.ts';", CYCLE),
  snippet('src/actors/b.ts', "export { a as b } from './a.ts';", CYCLE),
  snippet('src/routine/a.ts', "import type { B } from './b.ts';\nexport type A = B | 1;", CYCLE),
  snippet('src/routine/b.ts', "import type { A } from './a.ts';\nexport type B = A | 2;", CYCLE),
];

const impure = [
  ...[
    'Date.now()',
    'new Date()',
    'performance.now()',
    'setTimeout(() => {}, 1)',
    'setInterval(() => {}, 1)',
    'setImmediate(() => {})',
    'crypto.randomUUID()',
    'process.pid',
    'process.nextTick(() => {})',
    "fetch('http://localhost')",
  ].map((code) => snippet('src/actors', `export const a = ${code};`, RESTRICTED_GLOBAL)),
  ...['Math.random()', 'AbortSignal.timeout(1)', 'globalThis.setTimeout(() => {}, 1)'].map((code) =>
    snippet('src/actors', `export const a = ${code};`, RESTRICTED_PROPERTY),
  ),
  snippet('src/actors', 'export const { random } = Math;', RESTRICTED_PROPERTY),
  ...[
    ...['fs', 'fs/promises', 'net', 'tls', 'dgram', 'dns', 'http', 'http2', 'os', 'crypto'],
    ...['timers', 'timers/promises', 'child_process', 'worker_threads', 'process', 'perf_hooks'],
  ].map((name) => forbidden('src/actors', `node:${name}`)),
  forbidden('src/actors', '@grpc/grpc-js'),
];

/** The other pure rooms have the same rules: for each, one breach of every kind. */
const pureRooms = ['src/balancing', 'src/context', 'src/discovery', 'src/transport/link.ts'].map(
  (room) =>
    snippet(
      room,
      "import '../pool/pool.ts';\nimport 'node:fs';\nexport const a = Date.now() + Math.random();",
      ...[RESTRICTED_PROPERTY, RESTRICTED_GLOBAL, RESTRICTED_IMPORT, RESTRICTED_IMPORT],
    ),
);

const pure = [
  ...[
    'Math.max(1, 2)',
    'queueMicrotask(() => {})',
    'AbortSignal.abort()',
    '(env: { now(): number }) => env.now()',
    "Reflect.get(globalThis, Symbol.for('a'))",
  ].map((code) => snippet('src/actors', `export const a = ${code};`)),
  allowed('src/actors', 'xstate'),
  allowed('src/context', 'node:async_hooks'),
  allowed('src/transport', '@grpc/grpc-js'),
  allowed('src/discovery/adapters', 'node:fs'),
  snippet('src/discovery/adapters', 'export const a = process.pid;'),
  snippet('src/transport', 'export const a = Date.now();'),
  snippet('src/worker', 'export const a = process.pid + Math.random();'),
];

const manners = [
  snippet('src/worker', 'export const a: any = 1;', 'suspicious/noExplicitAny'),
  snippet('src/worker', 'export default 1;', 'style/noDefaultExport'),
  snippet('src/worker', "import { a } from './a.ts';", 'correctness/noUnusedImports'),
  snippet('src/worker', 'const a = 1;\nexport {};', 'correctness/noUnusedVariables'),
  snippet(
    'src/worker',
    'async function a(): Promise<void> {}\nexport function b(): void {\n  a();\n}',
    'nursery/noFloatingPromises',
  ),
  forbidden('src/worker', 'piscina', 'correctness/noUndeclaredDependencies'),
  allowed('src/worker', 'pbf'),
];

let folder: string;
let reports: Map<string, string[]>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-lint-'));
  for (const name of ['biome.json', 'package.json', '.gitignore']) {
    await cp(join(root, name), join(folder, name));
  }
  for (const { file, code } of snippets) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), `${code}\n`);
  }
  reports = await lint(folder);
}, 30_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The names of the rules that report something in each file. */
async function lint(cwd: string): Promise<Map<string, string[]>> {
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const options = ['lint', '--reporter=json', '--max-diagnostics=none'];
  const { stdout } = await promisify(execFile)(process.execPath, [biome, ...options], {
    cwd,
    maxBuffer: 64 * 1024 * 1024,
  }).catch((failure: { stdout: string }) => failure); // It exits with 1: it finds something.
  const { diagnostics } = JSON.parse(stdout) as {
    diagnostics: { category: string; location: { path: string } }[];
  };
  const found = new Map<string, string[]>();
  for (const { category, location } of diagnostics) {
    const rules = found.get(location.path) ?? [];
    found.set(location.path, [...rules, category.replace('lint/', '')].sort());
  }
  return found;
}

describe.each([
  { rule: 'imports go down only', snippets: floors },
  { rule: 'no way around the floors', snippets: detours },
  { rule: 'no circles', snippets: circles },
  { rule: 'no time, chance or I/O in the actors', snippets: impure },
  { rule: 'nor in the other pure rooms', snippets: pureRooms },
  { rule: 'what purity leaves', snippets: pure },
  { rule: 'manners', snippets: manners },
])('$rule', ({ snippets }) => {
  test.each(snippets)('$file: $code', ({ file, rules }) => {
    expect(reports.get(file) ?? []).toEqual(rules);
  });
});
