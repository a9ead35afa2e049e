/** Holds one contender, and drives it when told to. Argument: its name. */
import type { ContenderName } from '../contenders/contender.ts';
import { openContender } from '../contenders/open.ts';
import { serve } from '../ipc.ts';
import { drive, type Slice } from '../measure.ts';

export type Calls = { drive(inFlight: number, ms: number): Promise<Slice> };

serve(async ([name]): Promise<Calls> => {
  const contender = await openContender(name as ContenderName);
  return { drive: (inFlight, ms) => drive(contender.call, inFlight, ms) };
});
