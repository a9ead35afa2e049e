/**
 * Certificates and their authority are replaced three times under load, as docs/security.md tells how: no call fails.
 * Here it takes no longer than the files take to be seen; `npm run rotation` does it for 30 s.
 */
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import {
  type CredentialsProvider,
  StaticDiscovery,
  Worker,
  WorkerCredentials,
  WorkerPool,
} from '../../src/index.ts';
import { Authority, type Certificates, writeCertificates } from './certificates.ts';
import { rejection, scratchFolder, until } from './helpers.ts';
import { count, whereabouts } from './routines/rotation.ts';

const SECONDS = Number(process.env.SKEIN_ROTATION_SECONDS ?? 0);
const REPLACEMENTS = 3;
const none = () => {};
const logger = { debug: none, info: none, warn: none, error: none };
/** Between two calls one after the other. */
const PAUSE_MS = 5;

const folder = scratchFolder();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Where a program has its files, which are watched. */
class Site {
  readonly credentials: CredentialsProvider;
  readonly #folder: string;
  #now: Certificates;
  /** Until when what was read last is good: no two are the same. */
  #read = 0;

  constructor(name: string, first: Certificates) {
    this.#folder = `${folder}/${name}`;
    this.#now = first;
    const watched = WorkerCredentials.watchFiles(writeCertificates(this.#folder, first));
    const credentials = async () => {
      const given = await watched.credentials();
      this.#read = given.validTo?.getTime() ?? 0;
      return given;
    };
    this.credentials = { credentials, reloadable: true };
  }

  /** One file after the other: in between they do not belong together. Resolves when they were read. */
  async replace(next: Certificates): Promise<void> {
    for (const part of ['ca', 'key', 'cert'] as const) {
      this.#now = { ...this.#now, [part]: next[part] };
      writeCertificates(this.#folder, this.#now);
      await sleep(PAUSE_MS);
    }
    const end = new Date(new X509Certificate(next.cert).validTo).getTime();
    await until(() => expect(this.#read).toBe(end));
  }
}

/** What a worker shows. */
async function servedBy(address: string, { ca, cert, key }: Certificates): Promise<string> {
  const { hostname, port } = new URL(address.replace('tcp:', 'http:'));
  const socket = connect({
    host: hostname,
    port: Number(port),
    ca,
    cert,
    key,
    ALPNProtocols: ['h2'],
  });
  try {
    return await new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('secureConnect', () => {
        resolve(socket.getPeerX509Certificate()?.validTo ?? '');
      });
    });
  } finally {
    socket.destroy();
  }
}

test('no call fails while certificates and authorities are replaced', {
  timeout: 60_000 + SECONDS * 1_000,
}, async () => {
  let issued = 0;
  const authorities = await Promise.all(
    Array.from({ length: REPLACEMENTS + 1 }, () => Authority.make()),
  );
  /** Issued by one authority, where several are believed. */
  const issue = async (by: number, believed: readonly number[]): Promise<Certificates> => {
    issued += 1;
    const from = new Date(Date.now() - 60_000);
    const to = new Date(from.getTime() + 3_600_000 + issued * 1_000);
    const leaf = await (authorities[by] as Authority).issue({ dates: { from, to } });
    return { ...leaf, ca: believed.map((one) => authorities[one]?.ca).join('') };
  };

  const first = await issue(0, [0, 1]);
  const workers = new Site('workers', first);
  const callers = new Site('callers', first);
  const started = async (port = 0) => {
    const worker = new Worker({
      logger,
      host: '127.0.0.1',
      port,
      credentials: workers.credentials,
    });
    cleanups.push(() => worker.stop(0));
    return { worker, address: await worker.start() };
  };
  const opened = async (addresses: readonly string[]) => {
    const discovery = new StaticDiscovery(addresses);
    return await WorkerPool.open({ logger, discovery, credentials: callers.credentials });
  };
  const stays = await started();
  const restarts = await started();
  const addresses = [stays.address, restarts.address];

  // Its link is there from the beginning to the end, and so is a call.
  const old = await opened([stays.address]);
  const spawning = await WorkerPool.open({
    size: 2,
    transport: 'tcp',
    credentials: callers.credentials,
    logger,
  });
  cleanups.push(
    () => old.close({ grace: 0 }),
    () => spawning.close({ grace: 0 }),
  );

  const calls = { old: 0, steps: 0, spawned: 0, new: 0 };
  const pids = new Set<number>();
  let over = false;
  const lane = async (turn: () => Promise<unknown>) => {
    while (!over) {
      await turn();
      await sleep(PAUSE_MS);
    }
  };
  const steps = count.on(old)();
  const lanes = Promise.all([
    lane(async () => {
      expect(await whereabouts.on(old)()).toBe(process.pid);
      calls.old += 1;
    }),
    lane(async () => {
      expect(await steps.next()).toEqual({ done: false, value: calls.steps });
      calls.steps += 1;
    }),
    lane(async () => {
      pids.add(await whereabouts.on(spawning)());
      calls.spawned += 1;
    }),
    lane(async () => {
      await using pool = await opened(addresses);
      expect(await whereabouts.on(pool)()).toBe(process.pid);
      calls.new += 1;
    }),
  ]);
  // Reported where it is awaited.
  lanes.catch(() => {});

  let now = first;
  let { worker } = restarts;
  for (let k = 1; k <= REPLACEMENTS; k += 1) {
    const beganAt = performance.now();
    const before = { ...calls };
    // The last authority is still believed, and the next one already.
    const believed = [k - 1, k, k + 1].filter((one) => one <= REPLACEMENTS);
    now = await issue(k, believed);
    await Promise.all([workers.replace(now), callers.replace(now)]);
    const victim = spawning.workers[0]?.pid as number;
    process.kill(victim, 'SIGKILL');
    await worker.stop();
    ({ worker } = await started(Number(new URL(restarts.address.replace('tcp:', 'http:')).port)));
    const { validTo } = new X509Certificate(now.cert);
    await until(async () => {
      expect(spawning.workers.map(({ pid }) => pid)).not.toContain(victim);
      expect(spawning.workers).toHaveLength(2);
      const all = [...addresses, ...spawning.workers.map(({ address }) => address)];
      const served = await Promise.all(all.map((address) => servedBy(address, now)));
      expect(served).toEqual(all.map(() => validTo));
    });
    const left = beganAt + (SECONDS * 1_000) / REPLACEMENTS - performance.now();
    if (left > 0) await sleep(left);
    // It has happened under load.
    await until(() => {
      for (const [name, so] of Object.entries(before)) {
        expect(calls[name as keyof typeof calls]).toBeGreaterThan(so);
      }
    });
  }
  over = true;
  await lanes;
  await steps.return();
  expect(pids.size).toBeGreaterThan(2);
  if (SECONDS > 0) console.log(`${SECONDS} s, ${REPLACEMENTS} replacements:`, calls);

  // What was good at the beginning is nothing any more.
  const late = await WorkerPool.open({
    logger,
    discovery: new StaticDiscovery([stays.address]),
    credentials: WorkerCredentials.fromBytes({ ...first, ca: now.ca }),
  });
  cleanups.push(() => late.close({ grace: 0 }));
  expect(await rejection(whereabouts.on(late)())).toMatchObject({
    code: 'NO_WORKERS_AVAILABLE',
    cause: { reason: 'caller-wrong-ca' },
  });
});
