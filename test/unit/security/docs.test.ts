/** docs/security.md names tests that are there, and SECURITY.md and the examples what is in the package. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { runProgram } from '../../../src/cli/program.ts';

const ROOT = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const doc = read('docs/security.md');

const slug = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

describe.each(['docs/security.md', 'SECURITY.md'])('%s', (file) => {
  const links = [...read(file).matchAll(/\]\((?!https:)([^)#\s]*)(?:#([^)\s]+))?\)/g)];

  test.each(links.map(([, path, anchor]) => [path ?? '', anchor ?? '']))(
    'links to something: %s#%s',
    (path, anchor) => {
      const target = path === '' ? file : join(dirname(file), path);
      expect(existsSync(join(ROOT, target))).toBe(true);
      if (anchor === '') return;
      const headings = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => slug(text));
      expect(headings).toContain(anchor);
    },
  );
});

test('each threat has a test', () => {
  const [, table = ''] = /^## Threats\n(.*?)^## /ms.exec(doc) ?? [];
  const rows = table.split('\n').filter((line) => line.startsWith('| '));
  const [, , ...threats] = rows;
  expect(threats.length).toBeGreaterThan(10);
  for (const row of threats) {
    const [, , tests = '', ...more] = row.split(' | ');
    expect(more).toEqual([]);
    expect(tests, row).toMatch(/^(?:\[[\w -]+\]\(\.\.\/test\/[\w/-]+\.test\.ts\)(?:, )?)+ \|$/);
  }
});

test('the package has it, with the examples', () => {
  const { files } = JSON.parse(read('package.json')) as { files: string[] };
  for (const file of ['SECURITY.md', 'docs/security.md', 'examples/security']) {
    expect(files).toContain(file);
  }
  for (const file of readdirSync(join(ROOT, 'examples/security'))) expect(doc).toContain(file);
});

describe('a command line', () => {
  const all = (text: string, pattern: RegExp) =>
    [...text.matchAll(pattern)].map(([, found = '']) => found);
  const manifest = read('examples/security/worker.yaml');
  const [args = ''] = all(manifest, / args:\n((?: +(?:-|#) .+\n)+)/g);
  const lines = [
    ...all(doc, /^npx skein (.+)$/gm).map((line) => line.split(' # ')[0]?.split(' ') ?? []),
    all(args, /^ +- (.+)$/gm),
  ];

  test.each(lines.map((line) => [line]))('is understood: %j', async (line) => {
    const error = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const called: unknown[] = [];
    const take = async (flags: object) => {
      called.push(flags);
      return 0;
    };
    const none = async () => 1;
    const code = await runProgram(line, {
      ...{ worker: take, up: none, supervise: none, down: none, list: none, ping: none },
      run: (_module, _routine, _args, flags) => take(flags),
    });
    expect([code, error.mock.calls]).toEqual([0, []]);
    const flag = expect.stringMatching(/\.(?:pem|key|crt)$/);
    expect(called).toMatchObject([
      { ca: flag, cert: flag, key: flag, tlsIdentity: 'workers.my-app' },
    ]);
  });
});
