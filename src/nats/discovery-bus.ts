/** What discovery needs of a connection to NATS. */
import type { Bus } from './bus.ts';

export type { BusMessage } from './bus.ts';

export type DiscoveryBus = Pick<
  Bus,
  | 'cluster'
  | 'identity'
  | 'goneAfterMs'
  | 'maxPayload'
  | 'connected'
  | 'open'
  | 'close'
  | 'hold'
  | 'subscribe'
  | 'publish'
  | 'flush'
  | 'watch'
>;
