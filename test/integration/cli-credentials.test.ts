/** `skein` with certificates. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type AuthorizeFlags,
  authorizedOf,
  type CredentialFlags,
  credentialsOf,
} from '../../src/cli/credentials.ts';
import { Authority, type Certificates, writeCertificates } from './certificates.ts';
import { program, result, skein } from './cli-helpers.ts';

const cwd = program();
let good: Certificates;
let ca: string;
beforeAll(async () => {
  const authority = await Authority.make();
  good = writeCertificates(join(cwd, 'good'), await authority.issue());
  const named = await authority.issue({ names: ['workers.my-app'] });
  writeCertificates(join(cwd, 'named'), named);
  writeCertificates(join(cwd, 'expired'), await authority.issue({ dates: 'expired' }));
  ca = good.ca;
});

const flagsOf = ({ ca, cert, key }: Certificates) => ['--ca', ca, '--cert', cert, '--key', key];

describe('a pool with certificates', () => {
  let port: string;
  let up: ReturnType<typeof skein>;
  beforeAll(async () => {
    const guard = ['--authorize', 'localhost', '--hide-stacks', ...flagsOf(good)];
    up = skein(['pool', 'up', '--port', '0', '--breadth', '1', ...guard], { cwd });
    [, port = ''] = await up.says(/^pool with .* answers at tcp:\/\/127\.0\.0\.1:(\d+)$/m);
  });
  afterAll(() => up.child.kill('SIGKILL'));

  test('is asked, called and ended by who has them, also by the environment', async () => {
    const env = { SKEIN_CA: good.ca, SKEIN_CERT: good.cert, SKEIN_KEY: good.key };
    const at = ['--port', port];
    const listed = await result(['pool', 'ls', '--json', ...at, ...flagsOf(good)], { cwd });
    expect(JSON.parse(listed.out)).toMatchObject([{ secure: true, stalled: false }]);
    const called = await result(['run', 'routines.js', 'add', '1', '2', ...at], { cwd, env });
    expect(called).toEqual({ code: 0, out: '3\n', err: '' });
  });

  test.each([
    ['no certificates', () => [], /it speaks TLS only: give --ca, --cert and --key/],
    [
      'another name in mind',
      () => [...flagsOf(good), '--tls-identity', 'workers.my-app'],
      /and not for workers\.my-app/,
    ],
  ])('answers nobody with %s', async (_what, flags, words) => {
    const { code, out, err } = await result(['ping', '--port', port, ...flags()], { cwd });
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(err).toMatch(words);
  });

  test('is neither asked nor ended by who is not on its list', async () => {
    const named = { ca: good.ca, cert: 'named/cert.pem', key: 'named/key.pem' };
    for (const command of [['ping'], ['pool', 'down']]) {
      const args = [...command, '--port', port, ...flagsOf(named)];
      const { code, out, err } = await result(args, { cwd });
      expect({ code, out }).toEqual({ code: 3, out: '' });
      expect(err).toMatch(/it does not let this side in: the certificate is for workers\.my-app/);
    }
  });

  test('ends', async () => {
    const { code } = await result(['pool', 'down', '--port', port, ...flagsOf(good)], { cwd });
    expect(code).toBe(0);
    expect(await up.ended).toBe(0);
  });
});

test('a worker is known by its identity, and warns nobody of strangers', async () => {
  const named = { ca: good.ca, cert: 'named/cert.pem', key: 'named/key.pem' };
  const guard = ['--authorize', 'web.my-app', '--authorize', 'localhost', '--hide-stacks'];
  const worker = skein(['worker', '--host', '0.0.0.0', ...guard, ...flagsOf(named)], { cwd });
  const [, port] = await worker.says(/listens at tcp:\/\/.*:(\d+)$/m);
  expect(worker.err()).toBe('');
  const at = ['--discovery', `static:127.0.0.1:${port}`];
  const env = { SKEIN_TLS_IDENTITY: 'workers.my-app' };
  const called = await result(['run', 'routines.js', 'add', '1', '2', ...at, ...flagsOf(good)], {
    cwd,
    env,
  });
  expect(called).toEqual({ code: 0, out: '3\n', err: '' });
  const failed = await result(['run', 'routines.js', 'fail', ...at, ...flagsOf(good)], {
    cwd,
    env,
  });
  expect(failed.code).toBe(1);
  expect(failed.err).toMatch(/too far/);
  expect(failed.err).not.toMatch(/routines\.js/);
  const refused = await result(['run', 'routines.js', 'add', '1', '2', ...at, ...flagsOf(named)], {
    cwd,
    env,
  });
  expect(refused.code).toBe(3);
  expect(refused.err).toMatch(
    /it does not let this side in: the certificate is for workers\.my-app/,
  );
  worker.child.kill('SIGTERM');
  await worker.ended;
});

test.each<[string, () => CredentialFlags, number, RegExp]>([
  ['without --ca', () => ({ cert: good.cert }), 2, /--cert is of no use without --ca/],
  ['with no name', () => ({ ...good, tlsIdentity: 'a b' }), 2, /identity/],
  ['that is not there', () => ({ ca: 'none.pem' }), 3, /ca \(none\.pem\): there is no such file/],
  ['without its key', () => ({ ca, cert: good.cert }), 3, /key is missing/],
  ["with another's key", () => ({ ...good, key: join(cwd, 'named/key.pem') }), 3, /key/],
  ['alone', () => ({ ca }), 3, /both sides show a certificate, unless there is --one-way/],
])('a certificate %s is refused', (_what, flags, exitCode, words) => {
  expect(() => credentialsOf(flags(), {})).toThrow(words);
  expect(() => credentialsOf(flags(), {})).toThrow(expect.objectContaining({ exitCode }));
});

test.each<[string, AuthorizeFlags, boolean, boolean, RegExp]>([
  ['without certificates', {}, false, false, /: give --ca, --cert and --key, too$/],
  ['with --one-way', { oneWay: true }, true, false, /: leave out --one-way/],
  ['over NATS', {}, true, true, /: leave out --nats \(SKEIN_NATS\)$/],
  ['for what is no name', { authorize: ['a b'] }, true, false, /a b is none$/],
])('--authorize %s makes no sense', (_what, flags, hasCredentials, isOverNats, words) => {
  const given = { authorize: ['web.my-app'], ...flags };
  const credentials = hasCredentials ? credentialsOf(good, {}) : undefined;
  expect(() => authorizedOf(given, credentials, isOverNats)).toThrow(words);
  expect(() => authorizedOf(given, credentials, isOverNats)).toThrow(
    expect.objectContaining({ exitCode: 2 }),
  );
});

test('a certificate makes no sense where nobody is reached', async () => {
  const args = ['run', 'routines.js', 'add', '1', '2', '--ca', ca];
  const { code, err } = await result(args, { cwd });
  expect(code).toBe(2);
  expect(err).toMatch(/--ca says how workers are reached, and not which/);
});

test('a worker with a certificate that has expired does not start, and says so', async () => {
  const expired = { ...good, cert: 'expired/cert.pem', key: 'expired/key.pem' };
  const { code, err } = await result(['worker', '--port', '0', ...flagsOf(expired)], { cwd });
  expect(code).toBe(3);
  expect(err).toMatch(/^error: the worker does not start: the certificate has expired, on/);
});
