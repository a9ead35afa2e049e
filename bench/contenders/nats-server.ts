/** A NATS server of its own, for as long as a measurement takes. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

export interface NatsServer {
  readonly url: string;
  /** What it says of itself. */
  readonly version: string;
  stop(): Promise<void>;
}

/** @throws Error when `nats-server` is not installed, or does not come up */
export async function startNatsServer(): Promise<NatsServer> {
  const asked = spawnSync('nats-server', ['--version'], { encoding: 'utf8' });
  if (asked.error) {
    throw new Error(`there is no nats-server: install it, as by apt-get install nats-server`);
  }
  const port = await freePort();
  const server = spawn('nats-server', ['--addr', '127.0.0.1', '--port', `${port}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const end = () => server.kill('SIGKILL');
  process.once('exit', end);
  const exited = once(server, 'exit');
  let log = '';
  await new Promise<void>((resolve, reject) => {
    server.stderr.on('data', (bytes) => {
      log += bytes;
      if (log.includes('Server is ready')) resolve();
    });
    server.once('exit', () => reject(new Error(`nats-server has ended: ${log}`)));
  });
  return {
    url: `nats://127.0.0.1:${port}`,
    version: asked.stdout.trim(),
    stop: async () => {
      process.off('exit', end);
      server.kill('SIGTERM');
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
