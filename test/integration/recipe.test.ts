/** The recipe with openssl in docs/security.md, followed as it stands there, on two hosts. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, type Script, scratchFolder, until } from './helpers.ts';
import { type Host, Hosts, noHosts } from './hosts.ts';

const [, recipe = ''] =
  /^## Recipe: openssl\n(.*?)^## /ms.exec(readFileSync(join(ROOT, 'docs/security.md'), 'utf8')) ??
  [];
const blocks = [...recipe.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, kind, code = '']) => ({
  kind,
  code,
}));
/** By their names, which the first lines tell. */
const files = blocks
  .filter(({ kind }) => kind !== 'sh')
  .map(({ kind, code }) => {
    const [, name = '', rest = ''] = /^\/\/ (\S+)\n(.*)$/s.exec(code) ?? [];
    return { name, content: kind === 'json' ? rest : code };
  });
const [authority = '', leaves = '', serve = '', call = '', program = '', renew = ''] = blocks
  .filter(({ kind }) => kind === 'sh')
  .map(({ code }) => code.trim());
/** What is copied to the worker's machine, and to the caller's. */
const copied = [...recipe.matchAll(/Copy ((?:`[\w.]+`(?:, | and )?)+)/g)].map(([, list = '']) =>
  [...list.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file),
);

const COMMAND = join(ROOT, 'dist/cli/main.js');
const hasOpenssl = (() => {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' }).startsWith('OpenSSL');
  } catch {
    return false;
  }
})();
const possible = noHosts() === undefined && hasOpenssl;

const folder = scratchFolder();

/** A folder on a machine, with Skein in it. */
function machine(name: string): string {
  const place = join(folder, name, 'my-app');
  mkdirSync(join(place, 'node_modules'), { recursive: true });
  symlinkSync(ROOT, join(place, 'node_modules/skein'));
  for (const { name, content } of files) writeFileSync(join(place, name), content);
  return place;
}

/** Runs a line of the page on a host. */
function run(host: Host, cwd: string, line: string): Script {
  const [begin, comment] = line.split(' # ');
  expect([undefined, '3']).toContain(comment);
  const [first = '', second = '', ...args] = (begin as string).split(' ');
  if (first === 'node') return host.run(join(cwd, second), args, { cwd });
  expect([first, second]).toEqual(['npx', 'skein']);
  return host.run(COMMAND, args, { cwd });
}

const sh = (cwd: string, code: string) =>
  execFileSync('sh', ['-ec', code], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

describe.skipIf(!possible)('the recipe with openssl', { timeout: 90_000 }, () => {
  test('leads to a call between two hosts, renewed without a restart, and closed to others', async () => {
    await using hosts = await Hosts.make({ worker: ['lan'], caller: ['lan'] });
    const [worker, caller] = [hosts.get('worker'), hosts.get('caller')];
    const [home, there, here] = [machine('authority'), machine('worker'), machine('caller')];
    const copy = (names: readonly string[] = [], to: string) => {
      for (const name of names) copyFileSync(join(home, name), join(to, name));
    };
    sh(home, authority);
    sh(home, leaves);
    expect(copied).toEqual([
      ['ca.pem', 'worker.pem', 'worker.key'],
      ['ca.pem', 'caller.pem', 'caller.key'],
    ]);
    copy(copied[0], there);
    copy(copied[1], here);

    const serving = run(worker, there, serve);
    await until(() => expect(serving.stdout(), serving.stderr()).toContain('tcp://'));
    const onHost = (line: string) => line.replaceAll('worker.example', worker.address);
    const answers = async (line: string) => {
      const { ended, stdout, stderr } = run(caller, here, onHost(line));
      return { code: await ended, out: stdout(), err: stderr() };
    };
    expect(await answers(call)).toEqual({ code: 0, out: '3\n', err: '' });
    expect(await answers(program)).toEqual({ code: 0, out: '3\n', err: '' });

    const plain = call.replace(/ --ca .*$/, '');
    const stranger = await answers(plain);
    expect(stranger).toMatchObject({ code: 3, out: '' });
    const other = await answers(call.replace('workers.my-app', 'others.my-app'));
    expect(other).toMatchObject({ code: 3, out: '' });
    expect(other.err).toContain('not for others.my-app');

    const before = sh(there, 'openssl x509 -in worker.pem -noout -serial').trim();
    sh(home, renew);
    copy(['worker.pem', 'worker.key'], there);
    const after = sh(there, 'openssl x509 -in worker.pem -noout -serial').trim();
    expect(after).not.toBe(before);
    await until(async () => {
      const look = caller.run(SERIAL, [worker.address], { cwd: here });
      await look.ended;
      expect(`serial=${look.stdout()}`).toBe(after);
    });
    expect(await answers(call)).toEqual({ code: 0, out: '3\n', err: '' });
    expect(serving.stderr()).not.toContain('credentials');
  });
});

/** Prints the serial number of the certificate that a worker shows. */
const SERIAL = join(folder, 'serial.mjs');
writeFileSync(
  SERIAL,
  `import { readFileSync } from 'node:fs';
  import { connect } from 'node:tls';
  const [ca, cert, key] = ['ca.pem', 'caller.pem', 'caller.key'].map((file) => readFileSync(file));
  const socket = connect({ host: process.argv[2], port: 7500, ca, cert, key, ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined }, () => {
    process.stdout.write(socket.getPeerCertificate().serialNumber);
    socket.destroy();
  });`,
);
