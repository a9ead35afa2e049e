/** Who a caller is, as a worker counts its calls. */
import type { PeerIdentity } from './names.ts';

/**
 * What a worker counts the calls of a caller by. Who has shown a certificate is known by its names, which stay
 * when it is renewed: nobody else uses up its numbers.
 */
export function callerKey(epoch: string, peer: PeerIdentity | undefined): string {
  return peer === undefined ? `:${epoch}` : `certificate:${JSON.stringify([epoch, ...peer.names])}`;
}
