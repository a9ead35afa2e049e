import { expect, test } from 'vitest';
import {
  formatAddress,
  MAX_SOCKET_PATH_BYTES,
  parseAddress,
  withoutWildcard,
} from '../../src/transport/address.ts';

test.each([
  ['tcp://127.0.0.1:4000', { scheme: 'tcp', host: '127.0.0.1', port: 4000 }],
  ['tcp://worker-1.example.org:0', { scheme: 'tcp', host: 'worker-1.example.org', port: 0 }],
  ['tcp://[::1]:65535', { scheme: 'tcp', host: '::1', port: 65_535 }],
  ['tcp://[fe80::1%eth0]:1', { scheme: 'tcp', host: 'fe80::1%eth0', port: 1 }],
  ['unix:///run/skein/w 1#?.sock', { scheme: 'unix', path: '/run/skein/w 1#?.sock' }],
])('%s is read, and written back', (text, address) => {
  expect(parseAddress(text)).toEqual(address);
  expect(formatAddress(parseAddress(text))).toBe(text);
});

test.each([
  '',
  '127.0.0.1:4000',
  'http://127.0.0.1:4000',
  'tcp://',
  'tcp://host',
  'tcp://host:',
  'tcp://:4000',
  'tcp://host:65536',
  'tcp://host:-1',
  'tcp://host:4000/path',
  'tcp://user@host:4000',
  'tcp://::1:4000',
  'tcp://[host]:4000',
  'tcp://[]:4000',
  'unix://relative.sock',
  'unix:///with\0zero',
])('%j is refused, by name', (text) => {
  expect(() => parseAddress(text)).toThrow(TypeError);
  expect(() => parseAddress(text)).toThrow(`"${text}" is not an address`);
});

test('a Unix path may have as many bytes as the system takes, and no more', () => {
  const longest = `/${'é'.repeat((MAX_SOCKET_PATH_BYTES - 1) / 2)}`;
  expect(parseAddress(`unix://${longest}`)).toEqual({ scheme: 'unix', path: longest });
  expect(() => parseAddress(`unix://${longest}x`)).toThrow('shorter directory');
});

test.each([
  ['beat+tcp://0.0.0.0:7#ab', 'tcp://10.0.0.7:4000', 'beat+tcp://10.0.0.7:7#ab'],
  ['beat+tcp://[::]:7#ab', 'tcp://worker.test:4000', 'beat+tcp://worker.test:7#ab'],
  ['tcp://0.0.0.0:7', 'tcp://[fd00::1]:4000', 'tcp://[fd00::1]:7'],
  ['beat+tcp://10.0.0.9:7', 'tcp://10.0.0.7:4000', 'beat+tcp://10.0.0.9:7'],
  ['beat+tcp://[::1]:7', 'tcp://10.0.0.7:4000', 'beat+tcp://[::1]:7'],
  ['beat+tcp://0.0.0.0:7', 'unix:///run/w.sock', 'beat+tcp://0.0.0.0:7'],
])('%s of the worker at %s is dialed as %s', (address, reached, expected) => {
  expect(withoutWildcard(address, reached)).toBe(expected);
});
