/** What a pool makes of what its workers say of packages. */
import { expect, test, vi } from 'vitest';
import { packageHints } from '../../src/worker/package-hints.ts';

test('two workers that met two copies of a package at once are warned of, once', () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const told: object[] = [];
  const [one, two] = [0, 1].map((n) => ({
    send: (message: object) => told.push({ n, ...message }),
  }));
  if (one === undefined || two === undefined) throw new Error('there are two');
  packageHints.join(one, true);
  packageHints.join(two, true);
  const report = (folder: string) => ({ skein: 'package' as const, name: 'met-twice', folder });
  packageHints.receive(one, report('file:///copies/one/'));
  expect(told).toContainEqual({
    n: 1,
    skein: 'packages',
    packages: { 'met-twice': 'file:///copies/one/' },
  });
  packageHints.receive(two, report('file:///copies/one/'));
  expect(warn).not.toHaveBeenCalled();
  packageHints.receive(two, report('file:///copies/two/'));
  packageHints.receive(two, report('file:///copies/two/'));
  expect(warn).toHaveBeenCalledOnce();
  expect(warn.mock.calls[0]?.[0]).toMatch(
    /^the package 'met-twice' is in two folders: file:\/\/\/copies\/one\/, and in a worker file:\/\/\/copies\/two\//,
  );
  packageHints.leave(one);
  packageHints.leave(two);
});
