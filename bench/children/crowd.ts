/** Many workers in one process, so that a pool can know more of them than this machine could run. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '../ipc.ts';
import '../routines.ts';

export interface Listed {
  readonly uid: string;
  readonly address: string;
}

export type Crowd = { listen(count: number): Promise<readonly Listed[]> };

/** Of the package, but not of its public face: public workers have a thread each. */
const inside = async (path: string) =>
  await import(new URL(`../../../dist/${path}`, import.meta.url).href);

serve(async (): Promise<Crowd> => {
  const { WorkerCore } = await inside('worker/core.js');
  const { grpcTransport } = await inside('transport/grpc.js');
  const { defaultLimits } = await inside('transport/link.js');
  const { systemEnv } = await inside('env.js');
  const folder = mkdtempSync(join(tmpdir(), 'skein-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const shared = { env: systemEnv, limits: defaultLimits, transports: [grpcTransport()] };
  return {
    async listen(count) {
      const listed: Listed[] = [];
      for (let i = 0; i < count; i++) {
        const worker = new WorkerCore({ ...shared, address: `unix://${folder}/${i}.sock` });
        listed.push({ uid: worker.uid, address: await worker.start() });
      }
      return listed;
    },
  };
});
