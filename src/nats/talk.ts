/** What both ends of a channel over NATS share. */
import type { Env } from '../env.ts';
import type { Authkey, Exchange } from '../security/authkey.ts';
import type { Bus } from './bus.ts';
import type { StreamLimits } from './stream.ts';

/** Random bytes of a channel's name. */
export const CHANNEL_BYTES = 16;

export interface TalkSettings {
  readonly bus: Bus;
  readonly env: Env;
  readonly limits: StreamLimits;
  /** What the other end must show that it has, as this one does. */
  readonly authkey: Authkey | undefined;
}

/** A proof is good for one channel to one worker: what it is shown to others is worth nothing there. */
export function exchangeOf(subject: string, nonce: Uint8Array, clientNonce: Uint8Array): Exchange {
  return { method: subject, nonce, clientNonce };
}
