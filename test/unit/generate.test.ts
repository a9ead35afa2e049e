import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { PbfReader, PbfWriter } from 'pbf';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

const proto = `syntax = "proto3";
package test.v1;

message Order {
  enum State { OPEN = 0; SENT = 3; }
  message Line { string item = 1; Kind kind = 2; }
  State state = 1;
  repeated Line lines = 2;
  optional double discount = 3;
  map<string, Line> extras = 4;
  repeated uint64 parcels = 5;
  oneof body { bytes data = 6; Empty none = 7; }
}
message Empty {}
enum Kind { PLAIN = 0; }
`;

type Message = Record<string, unknown>;
type Generated = Record<string, (...args: unknown[]) => Message>;

let folder: string;
let generated: Generated;

const generate = (...options: string[]) =>
  run(process.execPath, [
    ...['--import', 'tsx', join(root, 'scripts/generate.ts')],
    ...[join(folder, 'test.proto'), folder, ...options],
  ]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-generate-'));
  await writeFile(join(folder, 'test.proto'), proto);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await generate();
  generated = await import(pathToFileURL(join(folder, 'test.js')).href);
}, 30_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

function pass(message: Message): Message | undefined {
  const writer = new PbfWriter();
  generated.writeOrder?.(message, writer);
  return generated.readOrder?.(new PbfReader(writer.finish()));
}

test('the types name exactly the fields that a reader gives', async () => {
  const types = await readFile(join(folder, 'test.d.ts'), 'utf8');
  const body = /interface Order \{(.*?)\}/s.exec(types)?.[1] ?? '';
  const named = [...body.matchAll(/^ {2}(\w+): (.*);$/gm)].map(([, name, type]) => [name, type]);
  expect(Object.fromEntries(named)).toEqual({
    state: 'OrderState',
    lines: 'OrderLine[]',
    discount: 'number',
    _discount: "'discount' | undefined",
    extras: 'Record<string, OrderLine>',
    parcels: 'number[]',
    data: 'Uint8Array | undefined',
    none: 'Empty | undefined',
    body: "'data' | 'none' | undefined",
  });
  expect(Object.keys(pass({}) ?? {}).sort()).toEqual(named.map(([name]) => name).sort());
});

test('an optional number that is 0 is not an absent one', () => {
  expect(pass({ discount: 0 })).toMatchObject({ discount: 0, _discount: 'discount' });
  expect(pass({})).toMatchObject({ discount: 0, _discount: undefined });
});

test('--check fails when a file is not what the schema gives', async () => {
  await generate('--check');
  await appendFile(join(folder, 'test.d.ts'), '// by hand\n');
  await expect(generate('--check')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/test\.d\.ts\nRun: npm run generate/),
  });
}, 30_000);
