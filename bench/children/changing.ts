/** Two pools in a namespace: one spawns workers, one finds them. Argument: the namespace. */
import { type DiscoveryLike, LocalDiscovery, WorkerPool } from 'skein';
import { serve } from '../ipc.ts';
import { add } from '../routines.ts';

export type Changing = {
  /** Spawns `size` workers. */
  spawn(size: number): Promise<void>;
  /** Milliseconds from the announcement of a worker to the result of a call that waited for it. */
  announce(): Promise<number>;
  /** Milliseconds from the kill of a worker until its pool knows it no more. */
  kill(): Promise<number>;
  close(): Promise<void>;
};

const until = async (check: () => boolean): Promise<void> => {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 2));
};

serve(([namespace = '']): Changing => {
  const find = () => new LocalDiscovery(namespace);
  let announced = 0;
  /** Notes when a worker is announced. */
  const noting = (): DiscoveryLike => {
    const discovery = find();
    const publish: typeof discovery.publisher.publish = async (event, worker) => {
      announced = performance.now();
      await discovery.publisher.publish(event, worker);
    };
    return { publisher: { publish }, subscribe: (filter) => discovery.subscribe(filter) };
  };
  let spawned: WorkerPool | undefined;
  return {
    async spawn(size) {
      spawned = await WorkerPool.open({ size, discovery: find });
    },
    async announce() {
      const pool = await WorkerPool.open({ discovery: find });
      const result = add
        .on(pool)(1, 2)
        .then(() => performance.now());
      const other = await WorkerPool.open({ size: 1, discovery: noting });
      const ms = (await result) - announced;
      await Promise.all([pool.close(), other.close()]);
      return ms;
    },
    async kill() {
      const pool = await WorkerPool.open({ discovery: find });
      const other = await WorkerPool.open({ size: 1, discovery: find });
      await add.on(pool)(1, 2);
      const [{ pid = 0 } = {}] = pool.workers;
      process.kill(pid, 'SIGKILL');
      const killed = performance.now();
      await until(() => pool.workers.every((worker) => worker.pid !== pid));
      const ms = performance.now() - killed;
      await Promise.all([pool.close(), other.close()]);
      return ms;
    },
    async close() {
      await spawned?.close();
    },
  };
});
