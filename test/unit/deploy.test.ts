/** What examples/deploy and docs/deploy.md tell people to write is what the command understands. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { natsOf } from '../../src/cli/nats.ts';
import { discoveryOf } from '../../src/cli/options.ts';
import { runProgram } from '../../src/cli/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'examples/deploy');
const files = readdirSync(FOLDER, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(FOLDER, join(entry.parentPath, entry.name)));
const read = (file: string) => readFileSync(join(FOLDER, file), 'utf8');
const doc = readFileSync(join(ROOT, 'docs/deploy.md'), 'utf8');
const docker = read('Dockerfile');
const kubernetes = read('kubernetes.yaml');
const units = files.filter((file) => file.endsWith('.service'));

/** All that the first group of a pattern finds. */
const all = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map(([, found = '']) => found);
const joined = (text: string) => text.replace(/\s*\\\n\s*/g, ' ');
const words = (line: string) => line.trim().split(/\s+/);

/** The command lines, each with the place where it stands. */
const lines: (readonly [string, string[]])[] = [
  ...all(doc, /^```sh\n(.*?)^```/gms)
    .flatMap((block) => joined(block).split('\n'))
    .flatMap((line) => all(line, /^(?:npx skein|docker run .* my-app) (.+)$/g))
    .map((line) => ['docs/deploy.md', words(line)] as const),
  ...all(doc, /\| `skein ([^`]+)`/g).map((line) => ['docs/deploy.md', words(line)] as const),
  ...units.map((unit) => {
    const [line = ''] = all(joined(read(unit)), /^ExecStart=\S+\/skein (.+)$/gm);
    return [unit, words(line)] as const;
  }),
  ['Dockerfile', JSON.parse(all(docker, /^CMD (.+)$/gm)[0] as string)],
  [
    'kubernetes.yaml',
    all(all(kubernetes, / args:\n((?: +(?:-|#) .+\n)+)/g)[0] as string, /^ +- (.+)$/gm),
  ],
];

/** What the command is told to do by a command line. */
async function understood(argv: string[]): Promise<Record<string, unknown>> {
  const called: Record<string, unknown>[] = [];
  const take = (command: string) => async (flags: object) => {
    called.push({ command, ...flags });
    return 0;
  };
  const code = await runProgram(argv, {
    worker: take('worker'),
    up: take('up'),
    supervise: async () => 1,
    down: take('down'),
    list: take('list'),
    ping: take('ping'),
    run: (module, routine, _args, flags) => take('run')({ module, routine, ...flags }),
  });
  expect(code).toBe(0);
  expect(called).toHaveLength(1);
  return called[0] as Record<string, unknown>;
}

describe('a command line', () => {
  test('is there where it is looked for', () => {
    expect(lines.length).toBeGreaterThan(10);
    for (const [place, line] of lines) expect(line, place).not.toEqual([]);
  });

  test.each(lines)('of %s is understood: %j', async (place, line) => {
    const error = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const { command, discovery, host, authkey, grace, ...flags } = await understood(line);
    expect(error).not.toHaveBeenCalled();
    const nats = await natsOf(flags);
    if (discovery !== undefined) expect(discoveryOf(String(discovery), nats)).toBeDefined();
    // Whoever can be reached from elsewhere has a key; but for the image, which is given one.
    const open = host === '0.0.0.0' || String(discovery).startsWith('lan');
    if (open && place !== 'Dockerfile' && line.length > 3) expect(authkey).toBeDefined();
    const [limit] = [
      ...all(place.endsWith('.service') ? read(place) : '', /^TimeoutStopSec=(\d+)$/gm),
      ...all(place.endsWith('.yaml') ? kubernetes : '', /terminationGracePeriodSeconds: (\d+)/g),
    ];
    // What ends the process must wait longer than its tasks may take.
    if (limit === undefined) expect(grace).toBeUndefined();
    else expect(Number(limit) * 1_000).toBeGreaterThan(Number(grace));
    expect(['worker', 'up', 'down', 'list', 'ping', 'run']).toContain(command);
  });

  test('names the same two ports wherever it is about the same worker', async () => {
    const [service = '', deployment = '', policy = ''] = kubernetes.split('\n---\n');
    const given = lines.filter(([place]) => place === 'Dockerfile' || place === 'kubernetes.yaml');
    expect(given).toHaveLength(2);
    for (const [, line] of given) {
      expect(await understood(line)).toMatchObject({ port: 7500, beatPort: 7501 });
    }
    expect(docker).toContain('EXPOSE 7500 7501\n');
    expect(all(service, /^ +port: (\d+)/gm)).toEqual(['7500']);
    expect(all(deployment, /containerPort: (\d+)/g)).toEqual(['7500', '7501']);
    expect(all(deployment, /grpc:\n +port: (\d+)/g)).toEqual(['7500']);
    expect(all(deployment, /dns:skein-workers:(\d+)/g)).toEqual(['7500']);
    expect(all(policy, /port: (\d+)/g)).toEqual(['7500', '7501']);
    expect(all(doc, /'skein-workers', { port: (\d+) }/g)).toEqual(['7500']);
    expect(all(kubernetes, /app: (\S+)/g)).toEqual(Array(5).fill('skein-worker'));
  });
});

describe('docs/deploy.md', () => {
  test('has a link to each file, and to none that is not there', () => {
    const links = all(doc, /\]\(([^)#]+)/g);
    for (const link of links) expect(existsSync(join(ROOT, 'docs', link)), link).toBe(true);
    const linked = links.map((link) => relative(FOLDER, join(ROOT, 'docs', link)));
    expect(linked).toEqual(expect.arrayContaining(files.filter((file) => file !== 'routines.ts')));
    const headings = all(doc, /^#+ (.+)$/gm).map((heading) =>
      heading.toLowerCase().replaceAll(' ', '-').replaceAll(',', ''),
    );
    for (const link of all(doc, /\]\(#([^)]+)\)/g)) expect(headings).toContain(link);
  });

  test('shows what is in the programs', () => {
    const programs = files
      .filter((file) => file.endsWith('.ts'))
      .map(read)
      .join('');
    const [lan = '', durable = ''] = all(doc, /^```ts\n(.*?)^```/gms);
    expect(programs).toContain(lan);
    expect(durable.replace("host: 'build-1'", 'host, port: 7411')).not.toBe(durable);
    expect(programs).toContain(durable.replace("host: 'build-1'", 'host, port: 7411'));
  });
});

test.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd takes the units', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'skein-units-'));
  try {
    mkdirSync(join(scratch, 'node_modules/.bin'), { recursive: true });
    cpSync('/bin/true', join(scratch, 'node_modules/.bin/skein'));
    const paths = units.map((unit) => {
      const path = join(scratch, unit.replace('systemd/', ''));
      writeFileSync(path, read(unit).replaceAll('/srv/my-app', scratch));
      return path;
    });
    expect(paths).toHaveLength(2);
    const said = execFileSync('systemd-analyze', ['verify', ...paths], { stdio: 'pipe' });
    expect(String(said)).toBe('');
  } finally {
    rmSync(scratch, { recursive: true });
  }
});
