/**
 * A pool with one worker over TCP, and a worker that others find, with certificates or in plain text. Arguments: the
 * contender's name, the folder of the certificates.
 */
import { join } from 'node:path';
import { StaticDiscovery, Worker, WorkerCredentials, WorkerPool } from 'skein';
import { MTLS } from '../contenders/secure-names.ts';
import { serve } from '../ipc.ts';
import { drive, type Slice } from '../measure.ts';
import { add } from '../routines.ts';

export type Secure = {
  drive(inFlight: number, ms: number): Promise<Slice>;
  /** Starts a worker in this process, and gives its address. */
  listen(): Promise<string>;
  /** Milliseconds from before a pool opens until the worker's first result is there. */
  first(address: string): Promise<number>;
};

serve(async ([name, folder = '']): Promise<Secure> => {
  const file = (part: string) => join(folder, `${part}.pem`);
  const files = { ca: file('ca'), cert: file('cert'), key: file('key') };
  const secure = name === MTLS ? { credentials: WorkerCredentials.fromFiles(files) } : {};
  let pool: WorkerPool | undefined;
  return {
    async drive(inFlight, ms) {
      pool ??= await WorkerPool.open({ size: 1, transport: 'tcp', ...secure });
      const call = add.on(pool);
      return await drive(() => call(1, 2), inFlight, ms);
    },
    async listen() {
      return await new Worker({ host: '127.0.0.1', port: 0, ...secure }).start();
    },
    async first(address) {
      const started = performance.now();
      const found = await WorkerPool.open({ discovery: new StaticDiscovery([address]), ...secure });
      await add.on(found)(1, 2);
      const ended = performance.now();
      await found.close();
      return ended - started;
    },
  };
});
