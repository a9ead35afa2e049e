/** Sends large values, and small calls beside them. Arguments: skein or grpc, socket, tuning. */
import type { Socket } from '../contenders/contender.ts';
import { largeBytes, MiB, type Tuning } from '../contenders/grpc-protocol.ts';
import { serve } from '../ipc.ts';
import { drive } from '../measure.ts';

interface Sender {
  small(): Promise<unknown>;
  large(): Promise<unknown>;
}

export type Large = {
  /** One large value; MB/s. */
  send(): Promise<number>;
  /** Median of small calls, one at a time, alone and while large values travel; µs. */
  beside(ms: number): Promise<{ readonly idle: number; readonly loaded: number }>;
};

async function openSkein(transport: Socket): Promise<Sender> {
  const { WorkerPool } = await import('skein');
  const { add, size } = await import('../routines.ts');
  await WorkerPool.open({ size: 1, transport });
  const value = new Uint8Array(largeBytes).fill(7);
  return {
    small: () => add(1, 2),
    large: async () => {
      const arrived = await size(value);
      if (arrived !== largeBytes) throw new Error(`${arrived} bytes arrived`);
    },
  };
}

async function open(kind: string, socket: Socket, tuning: Tuning): Promise<Sender> {
  if (kind === 'skein') return openSkein(socket);
  const { openLarge } = await import('../contenders/grpc.ts');
  return openLarge(socket, tuning);
}

async function send({ large }: Sender): Promise<number> {
  const started = performance.now();
  await large();
  return largeBytes / MiB / ((performance.now() - started) / 1000);
}

async function beside({ small, large }: Sender, ms: number) {
  const idle = await drive(small, 1, ms);
  let stopped = false;
  const stream = (async () => {
    while (!stopped) await large();
  })();
  try {
    // A failure of the large values must not leave the small ones running for ever.
    const loaded = await Promise.race([drive(small, 1, ms), stream.then(() => undefined)]);
    if (!loaded) throw new Error('the large values stopped');
    return { idle: idle.p50, loaded: loaded.p50 };
  } finally {
    stopped = true;
    await stream.catch(() => {});
  }
}

serve(async ([kind, socket, tuning]): Promise<Large> => {
  const sender = await open(kind!, socket as Socket, tuning as Tuning);
  return { send: () => send(sender), beside: (ms) => beside(sender, ms) };
});
