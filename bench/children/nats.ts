/** Holds one contender over NATS, and drives it when told to. Arguments: its name, the server. */
import { openNats } from '../contenders/nats.ts';
import type { NatsContender } from '../contenders/nats-names.ts';
import { serve } from '../ipc.ts';
import { drive, type Slice } from '../measure.ts';

export type NatsCalls = { drive(inFlight: number, ms: number): Promise<Slice> };

serve(async ([name, servers = '']): Promise<NatsCalls> => {
  const contender = await openNats(name as NatsContender, servers);
  return { drive: (inFlight, ms) => drive(contender.call, inFlight, ms) };
});
