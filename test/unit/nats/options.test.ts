import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Bus } from '../../../src/nats/bus.ts';
import { checkOptions, formatServer, type NatsOptions } from '../../../src/nats/options.ts';
import { natsTransport } from '../../../src/nats/transport.ts';

const SEED = `SU${'A'.repeat(56)}`;

const servers = (given: NatsOptions['servers']) =>
  checkOptions({ servers: given as string }).servers.map(formatServer);

describe('servers', () => {
  test.each([
    [undefined, ['127.0.0.1:4222']],
    ['nats://one:1', ['one:1']],
    ['one', ['one:4222']],
    ['tls://one.example/', ['one.example:4222']],
    ['nats://one:1,two:2 , three', ['one:1', 'two:2', 'three:4222']],
    [
      ['[::1]:5', 'nats://[fe80::1]'],
      ['[::1]:5', '[fe80::1]:4222'],
    ],
    ['nats://user:pass@one:1', ['one:1']],
  ])('%j', (given, expected) => {
    expect(servers(given)).toEqual(expected);
  });

  test('a login before a host is that host’s, and the options’ is for the others', () => {
    const { servers } = checkOptions({
      servers: ['nats://a%40b:p%3Aq@one', 'nats://secret@two', 'three'],
      user: 'u',
      pass: 'p',
    });
    expect(servers.map(({ login }) => login)).toEqual([
      { user: 'a@b', pass: 'p:q' },
      { token: 'secret' },
      { user: 'u', pass: 'p' },
    ]);
  });

  test('TLS is a must for all when one is given as tls://', () => {
    expect(checkOptions({ servers: ['tls://one', 'two'] }).tls).toEqual({});
    expect(checkOptions({ servers: 'one' }).tls).toBeUndefined();
  });
});

describe('the identity', () => {
  test.each<[NatsOptions, string]>([
    [{}, 'anyone'],
    [{ user: 'gpu', pass: 'x' }, 'gpu'],
    [{ servers: 'nats://gpu:x@host' }, 'gpu'],
    [{ user: 'a.b', pass: 'x' }, 'anyone'],
    [{ user: 'a', identity: 'b' }, 'b'],
    [{ token: 'secret' }, 'anyone'],
  ])('of %j is %s', (options, identity) => {
    expect(checkOptions(options).identity).toBe(identity);
  });
});

describe('what is refused', () => {
  const wrong = (options: unknown) => () => checkOptions(options as NatsOptions);

  test.each<[string, unknown, string]>([
    ['no object', 'nats://host', 'must be an object'],
    ['an unknown option', { server: 'x' }, 'no option "server"; it has user, pass'],
    ['a number as a text', { token: 5 }, 'token of NATS must be a text'],
    ['an empty text', { user: '' }, 'user of NATS must be a text that is not empty'],
    ['no servers', { servers: [] }, 'one address or more'],
    ['servers that are none', { servers: 5 }, 'one address or more'],
    ['a WebSocket', { servers: 'ws://host' }, 'begins with ws://'],
    [
      'a port that is none',
      { servers: ['a', 'b:70000'] },
      'server 2 of those of NATS has the port',
    ],
    ['no host', { servers: 'nats://:4222' }, 'is no address'],
    ['a bare %', { servers: 'nats://a:b%@host' }, 'must be written as %25'],
    ['two logins', { user: 'a', nkey: SEED }, 'user and nkey are given'],
    ['a password alone', { pass: 'a' }, 'pass is given without user'],
    ['a public key', { nkey: `UA${'A'.repeat(54)}` }, 'nkey must be the seed of a user'],
    ['a cluster with a dot', { cluster: 'a.b' }, 'cluster of NATS is "a.b"'],
    ['an identity that is a wildcard', { identity: '*' }, 'identity of NATS is "*"'],
    ['a number that is a text', { goneAfter: '5' }, 'goneAfter must be a number'],
    ['TLS that is none', { tls: true }, 'tls must be an object'],
    ['an unknown option of TLS', { tls: { insecure: true } }, 'no option "insecure"'],
    ['a text and a file', { tls: { ca: 'a', caFile: 'b' } }, 'both ca and caFile'],
    ['a certificate alone', { tls: { cert: 'a' } }, 'has a certificate, but no key'],
    ['a key alone', { tls: { keyFile: 'a' } }, 'has a key, but no certificate'],
  ])('%s', (_what, options, message) => {
    expect(wrong(options)).toThrow(TypeError);
    expect(wrong(options)).toThrow(message);
  });

  test.each([499, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])(
    'goneAfter of %j',
    (goneAfter) => {
      expect(wrong({ goneAfter })).toThrow(RangeError);
    },
  );

  test('no secret is in a message', () => {
    const secrets: NatsOptions[] = [
      { servers: 'nats://u:hunter2@bad host' },
      { servers: 'nats://hunter2@host:99999' },
      { servers: 'nats://u:hunter2%@host' },
      { nkey: 'hunter2' },
      { user: 'a', pass: 'hunter2', token: 'hunter2' },
    ];
    for (const options of secrets) {
      expect(wrong(options)).toThrow(TypeError);
      expect(wrong(options)).not.toThrow('hunter2');
    }
  });
});

test('neither a bus nor a transport shows its secrets', () => {
  const options: NatsOptions = {
    servers: 'nats://u:hunter2@host',
    tls: { ca: 'a', cert: 'b', key: 'hunter3' },
  };
  const shown = [new Bus(options), natsTransport(options)];
  expect(inspect(shown, { depth: 9, showHidden: true })).not.toMatch(/hunter/);
  expect(JSON.stringify(shown)).not.toMatch(/hunter/);
});
