import { expect, test } from 'vitest';
import { type CallContext, type CallPorts, callEffects } from '../../src/actors/call.ts';

test.each(['The other side closed the link.', 'the other side closed the link'])(
  'what a lost call is told because of "%s" has one full stop between two sentences',
  (message) => {
    const errors: unknown[] = [];
    const call = {
      request: { routine: { key: 'm#f' }, attempts: 1 },
      waiter: { reject: (error: unknown) => errors.push(error) },
    };
    const context = { call, worker: 'w1' } as unknown as CallContext;
    const { rejectRunning } = callEffects({} as CallPorts);
    rejectRunning?.(context, { type: 'lost', message }, undefined as never);
    expect((errors[0] as Error).message).toMatch(
      /: the other side closed the link\. It had begun, so it was not sent to another worker$/i,
    );
  },
);
