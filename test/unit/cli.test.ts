import { afterEach, describe, expect, test, vi } from 'vitest';
import { type NatsFlags, natsOf } from '../../src/cli/nats.ts';
import { discoveryOf, time, whole } from '../../src/cli/options.ts';
import { duration, inWordsOfCommand, isColoured, tableOf } from '../../src/cli/output.ts';
import { DnsDiscovery, LanDiscovery, LocalDiscovery, StaticDiscovery } from '../../src/index.ts';
import { NatsDiscovery } from '../../src/nats/index.ts';
import { noTransport } from '../../src/transport/transport.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test.each([
  ['350 ms', 350],
  ['1 s', 1_000],
  ['59 s', 59_999],
  ['3 min 20 s', 200_000],
  ['5 h', 5 * 3_600_000 + 20_000],
  ['2 d 4 h', 52 * 3_600_000],
])('%s is %d ms', (text, ms) => {
  expect(duration(ms)).toBe(text);
});

test.each([
  ['500ms', 500],
  ['10', 10_000],
  ['0.5s', 500],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['0', 0],
])('the time %s is %d ms', (text, ms) => {
  expect(time(text)).toBe(ms);
});

test.each(['', '-1', '1e3', 'soon', '10 s', '10d'])('%j is no time', (text) => {
  expect(() => time(text)).toThrow('such as 500ms, 10s or 2m');
});

test.each(['', '-1', '1.5', '0x10', '70000', 'many'])('%j is no port', (text) => {
  expect(() => whole(0, 65_535)(text)).toThrow('whole number, 0 to 65535');
});

test.each([
  ['local:my-app', LocalDiscovery],
  ['lan', LanDiscovery],
  ['lan:my-app', LanDiscovery],
  ['dns:workers', DnsDiscovery],
  ['dns:workers:7500', DnsDiscovery],
  ['static:tcp://10.0.0.7:7500,tcp://[::1]:7500', StaticDiscovery],
])('%s names a discovery', (text, Discovery) => {
  expect(discoveryOf(text)).toBeInstanceOf(Discovery);
});

test('addresses on the command line need no scheme', async () => {
  const found: string[] = [];
  for await (const event of discoveryOf('static:10.0.0.7:7500,[::1]:7500,unix:///w').subscribe()) {
    found.push((event as { worker: { address: string } }).worker.address);
    if (found.length === 3) break;
  }
  expect(found).toEqual(['tcp://10.0.0.7:7500', 'tcp://[::1]:7500', 'unix:///w']);
});

test.each([
  '',
  'local',
  'local:',
  'local:a/b',
  'lan:',
  'lan:a b',
  'dns',
  'dns:a:b',
  'dns:a:0',
  'static:',
  'static:x',
  'nats',
  'nats:x',
])('%j names none, and what does is said', (text) => {
  expect(() => discoveryOf(text)).toThrow(`--discovery ${text}`);
});

describe('a worker over NATS', () => {
  const told = async (nats: string, hasKey = false) => {
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      (await natsOf({ nats }))?.warnIfOpen(hasKey);
      return write.mock.calls.join('');
    } finally {
      write.mockRestore();
    }
  };

  test.each(['10.0.0.7', 'nats://10.0.0.7:4222', 'localhost,tls://nats.example', '[fd00::1]:4222'])(
    'is open to all clients of %s, and that is said',
    async (servers) => {
      const said = await told(servers);
      expect(said).toContain(`whoever may use ${servers.replace(',', ', ')} can run routines`);
      expect(await told(servers, true)).toBe('');
    },
  );

  test.each(['localhost', 'nats://127.0.0.1:4222', '[::1]:4222', 'nats://localhost,127.0.0.2'])(
    'is for users of this machine at %s',
    async (servers) => {
      expect(await told(servers)).toBe('');
    },
  );

  test.each(['nats://me:pa/ss@10.0.0.7', 'tls://t0ken@10.0.0.7', 'a,me:pass@10.0.0.7'])(
    'shows no secret of %s, but that others see it',
    async (servers) => {
      const said = await told(servers);
      expect(said).toContain('--nats shows in the list of processes');
      expect(said).not.toMatch(/pa|t0ken|10\.0\.0\.7/);
    },
  );
});

test.each<[NatsFlags, string]>([
  [{ natsCreds: 'a.creds' }, '--nats-creds is of no use without --nats'],
  [{ cluster: 'a' }, '--cluster is of no use without --nats'],
  [{ nats: 'ws://here' }, '--nats: '],
  [{ nats: '' }, '--nats: '],
  [{ nats: 'here', cluster: 'a.b' }, 'cluster'],
  [{ nats: 'here', identity: '' }, 'identity'],
  [{ nats: 'here', natsCert: 'a.pem' }, 'a certificate, but no key'],
  [{ nats: 'here', natsNkey: 'SUsecret' }, "the one given can't be read (ENOENT)"],
])('%j does not say how NATS is reached, and it is said why', async (flags, said) => {
  const error = await natsOf(flags).catch((error: Error) => error);
  expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(said) });
  expect(String(error)).not.toContain('SUsecret');
});

test('who lacks NATS is told of an option, and not of what programs write', () => {
  expect(inWordsOfCommand(noTransport('nats://c/w/id'))).toBe(
    'no transport for the address nats://c/w/id: give --nats URL',
  );
});

test('a name that can not be a part of a subject is refused as a discovery', async () => {
  const nats = await natsOf({ nats: 'here' });
  for (const one of ['nats', 'nats:a'])
    expect(discoveryOf(one, nats)).toBeInstanceOf(NatsDiscovery);
  expect(() => discoveryOf('nats:', nats)).toThrow('--discovery nats: names no discovery');
  expect(() => discoveryOf('nats:a.b', nats)).toThrow('--discovery nats:a.b: ');
});

describe('what is printed', () => {
  test('has colours on a terminal that wants some', () => {
    const stream = (isTTY: boolean) => ({ isTTY }) as NodeJS.WriteStream;
    vi.stubEnv('NO_COLOR', '');
    vi.stubEnv('TERM', 'xterm');
    expect([isColoured(stream(true)), isColoured(stream(false))]).toEqual([true, false]);
    vi.stubEnv('NO_COLOR', '1');
    expect(isColoured(stream(true))).toBe(false);
  });

  test('is a table on a terminal, and has tabs elsewhere', () => {
    vi.stubEnv('NO_COLOR', '1');
    const rows = [
      ['a', 'long one'],
      ['b', 'c'],
    ];
    expect(
      tableOf(['ONE', 'TWO'], rows, true)
        .split('\n')
        .map((line) => line.trimEnd()),
    ).toEqual(['ONE  TWO', 'a    long one', 'b    c']);
    expect(tableOf(['ONE', 'TWO'], rows, false)).toBe('ONE\tTWO\na\tlong one\nb\tc');
  });
});
