/** Which addresses of a machine others can reach. */
import { describe, expect, test } from 'vitest';
import {
  isLoopback,
  isOnLink,
  isWildcard,
  listInterfaces,
  routableHost,
} from '../../../src/discovery/adapters/interfaces.ts';

const v4 = (address: string, internal = false) => ({
  address,
  netmask: '255.255.255.0',
  family: 'IPv4',
  internal,
});
const v6 = (address: string, internal = false) => ({ ...v4(address, internal), family: 'IPv6' });
const lo = [v4('127.0.0.1', true), v6('::1', true)];

test.each([
  ['0.0.0.0', true],
  ['::', true],
  ['0:0:0:0:0:0:0:0', true],
  ['::1', false],
  ['10.0.0.1', false],
  ['localhost', false],
])('%s is a wildcard: %s', (host, expected) => {
  expect(isWildcard(host)).toBe(expected);
});

test.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['localhost', true],
  ['app.localhost', true],
  ['notlocalhost', false],
  ['128.0.0.1', false],
  ['0.0.0.0', false],
  ['fe80::1', false],
])('%s is of this machine only: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

describe('the routable host', () => {
  test('is the first of a network', () => {
    expect(routableHost(() => ({ lo, eth0: [v6('fe80::1'), v4('10.0.0.1')] }))).toBe('10.0.0.1');
  });

  test('has IPv6 where there is nothing else', () => {
    expect(routableHost(() => ({ lo, eth0: [v6('fe80::1'), v6('fd00::1')] }))).toBe('fd00::1');
  });

  test('is the loopback address where there is no network', () => {
    expect(routableHost(() => ({ lo, eth0: [] }))).toBe('127.0.0.1');
  });
});

test('each interface has one address', () => {
  const list = () => ({ lo, eth0: [v6('fd00::1'), v4('10.0.0.1'), v4('10.0.0.2')], wlan0: [] });
  expect(listInterfaces(list).map(({ name, address }) => `${name} ${address}`)).toEqual([
    'lo 127.0.0.1',
    'eth0 10.0.0.1',
  ]);
});

test('a packet is of the network that its sender is in', () => {
  const eth0 = { name: 'eth0', ...v4('10.0.0.1') };
  expect(isOnLink(eth0, '10.0.0.200')).toBe(true);
  expect(isOnLink(eth0, '10.0.1.2')).toBe(false);
  expect(isOnLink({ ...eth0, address: '200.0.0.1' }, '200.0.0.9')).toBe(true);
  expect(isOnLink({ ...eth0, netmask: '255.255.255.255' }, '10.9.9.9')).toBe(true);
});
