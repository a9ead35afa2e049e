/** The server of NATS for the run of the runtime's tests over it. */
import type { TestProject } from 'vitest/node';
import { type NatsServer, startNats } from './nats-server.ts';

let server: NatsServer | undefined;

export async function setup(project: TestProject): Promise<void> {
  server = await startNats();
  project.provide('natsUrl', server.url);
}

export async function teardown(): Promise<void> {
  await server?.[Symbol.asyncDispose]();
}
