/** Where a durable pool is asked, and for what. */
import { formatAddress, parseAddress } from '../transport/address.ts';

export const DEFAULT_POOL_HOST = '127.0.0.1';
export const DEFAULT_POOL_PORT = 7411;

export const POOL_SERVICE = 'skein.v1.Pool';
export const POOL_PATHS = {
  ping: `/${POOL_SERVICE}/Ping`,
  list: `/${POOL_SERVICE}/List`,
  watch: `/${POOL_SERVICE}/Watch`,
  down: `/${POOL_SERVICE}/Down`,
} as const;

/** Where a durable pool answers. */
export interface PoolPlace {
  /** A name or an IP address. @default 127.0.0.1 */
  readonly host?: string | undefined;
  /** @default 7411 */
  readonly port?: number | undefined;
}

/** @throws TypeError that says what is wrong with the host or the port */
export function poolAddress({ host, port }: PoolPlace): { address: string; host: string } {
  const at = host ?? DEFAULT_POOL_HOST;
  const number = port ?? DEFAULT_POOL_PORT;
  if (typeof at !== 'string' || at === '') {
    throw new TypeError('host must be the name or the address of a machine');
  }
  if (!(Number.isInteger(number) && number >= 0 && number <= 65_535)) {
    throw new TypeError(`port must be a whole number up to 65535, not ${String(number)}`);
  }
  const address = formatAddress({ scheme: 'tcp', host: at, port: number });
  parseAddress(address);
  return { address, host: at };
}
