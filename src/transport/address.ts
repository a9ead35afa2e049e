/** Addresses as text: `tcp://host:port`, with IPv6 in brackets, and `unix:///path/of/the.sock`. */
import { isIPv6 } from 'node:net';

export type Address =
  | { readonly scheme: 'tcp'; readonly host: string; readonly port: number }
  | { readonly scheme: 'unix'; readonly path: string };

/**
 * Longest path of a Unix socket, in bytes: what the kernel's `sun_path` holds beside its final zero.
 * Node cuts off what is longer without a word, and two long paths then meet in one socket.
 */
export const MAX_SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;

const TCP = /^(?:\[(?<ipv6>[^\]]*)\]|(?<name>[A-Za-z0-9._-]+)):(?<port>\d{1,5})$/;

/** @throws TypeError that says what is wrong with the text */
export function parseAddress(text: string): Address {
  if (text.startsWith('tcp://')) return parseTcp(text);
  if (text.startsWith('unix://')) return parseUnix(text);
  throw new TypeError(
    `"${text}" is not an address: it starts with neither "tcp://" nor "unix://".`,
  );
}

function parseTcp(text: string): Address {
  const { ipv6, name, port } = TCP.exec(text.slice('tcp://'.length))?.groups ?? {};
  const host = ipv6 ?? name;
  if (host === undefined || (ipv6 !== undefined && !isIPv6(ipv6))) {
    throw new TypeError(
      `"${text}" is not an address: write tcp://host:port, with an IPv6 host in brackets.`,
    );
  }
  if (Number(port) > 65_535)
    throw new TypeError(`"${text}" is not an address: no port is so high.`);
  return { scheme: 'tcp', host, port: Number(port) };
}

function parseUnix(text: string): Address {
  const path = text.slice('unix://'.length);
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new TypeError(`"${text}" is not an address: write unix:///absolute/path.`);
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new TypeError(
      `The path of "${text}" has ${bytes} bytes, and a Unix socket's may have at most ` +
        `${MAX_SOCKET_PATH_BYTES}: choose a shorter directory.`,
    );
  }
  return { scheme: 'unix', path };
}

const WILDCARD = /(?<=^[a-z+]+:\/\/)(?:0\.0\.0\.0|\[[0:]+\])(?=:\d)/;
const HOST = /(?<=^[a-z]+:\/\/)(?:\[[^\]]*\]|[A-Za-z0-9._-]+)(?=:\d)/;

/**
 * An address that a worker gives, e.g. of its beat, as it is dialed by who reaches the worker at `reached`:
 * in place of a wildcard, which stands for all addresses of its machine, it has that host.
 */
export function withoutWildcard(address: string, reached: string): string {
  const host = HOST.exec(reached)?.[0];
  return host === undefined ? address : address.replace(WILDCARD, host);
}

export function formatAddress(address: Address): string {
  if (address.scheme === 'unix') return `unix://${address.path}`;
  const { host, port } = address;
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
