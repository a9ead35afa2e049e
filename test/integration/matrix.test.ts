/** Who connects to whom, over real sockets: all cells of the table in docs/security.md, which is printed. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { table } from '../../scripts/tables.ts';
import { systemEnv } from '../../src/env.ts';
import {
  AuthenticationError,
  CredentialsError,
  LocalDiscovery,
  NoWorkersAvailable,
  type PoolOptions,
  StaticDiscovery,
  Worker,
  WorkerCredentials,
  WorkerPool,
} from '../../src/index.ts';
import { materialOf } from '../../src/security/credentials.ts';
import { CredentialSource } from '../../src/security/source.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { defaultLimits } from '../../src/transport/link.ts';
import { WorkerCore } from '../../src/worker/core.ts';
import {
  type Condition,
  describeOutcome,
  type Flaw,
  isNothing,
  matrixOf,
  type Outcome,
  PLACES,
  type Place,
  ROWS,
  type Row,
  type Serves,
  WAYS,
  type Way,
} from '../security/matrix.ts';
import { Authority, type Certificates, type IssueOptions } from './certificates.ts';
import { rejection, scratchFolder, type Trace, trace } from './helpers.ts';
import { once } from './routines/tasks.ts';

const folder = scratchFolder();
const OWN = 'spiffe://matrix/worker';
const OTHER = 'spiffe://matrix/another';

const none = () => {};
const logger = { debug: none, info: none, warn: none, error: none };

let authority: Authority;
let other: Authority;

const cleanups: (() => unknown)[] = [];
afterAll(async () => {
  await Promise.all(cleanups.map((cleanup) => cleanup()));
});

async function issue(flaw: Flaw | undefined, options: IssueOptions = {}): Promise<Certificates> {
  switch (flaw) {
    case undefined:
      return await authority.issue(options);
    case 'wrong CA':
      // It believes the right one itself.
      return { ...(await other.issue(options)), ca: authority.ca };
    case 'expired':
      return await authority.issue({ ...options, dates: 'expired' });
    case 'not yet valid':
      return await authority.issue({ ...options, dates: 'not-yet-valid' });
    case 'wrong name':
      return await authority.issue({ ...options, names: ['elsewhere.example'] });
  }
}

/** No address of it stands in the certificate where the worker is known by its identity. */
const namesOf = ({ identity }: Condition): IssueOptions =>
  identity === undefined ? {} : { names: [OWN] };

const workerCertificates = (condition: Condition) => issue(condition.worker, namesOf(condition));

/** Those of a caller, and of a pool that spawns. */
async function callerCredentials(
  { condition, serves }: Row,
  own: Promise<Certificates>,
): Promise<WorkerCredentials> {
  const { ca, cert, key } = await own;
  const mutual = serves === 'mutual';
  const given = condition.caller === 'none' ? { ca, mutual: false } : { ca, cert, key, mutual };
  const credentials = WorkerCredentials.fromBytes(given);
  const { identity } = condition;
  if (identity === undefined) return credentials;
  return credentials.as({ identity: identity === 'own' ? OWN : OTHER });
}

/** Those that differ in the caller alone have one worker. */
const workers = new Map<string, Promise<string>>();

function workerFor({ serves, condition }: Row, place: Place): Promise<string> {
  const { worker, identity } = condition;
  const key = [serves, place, worker, identity].join(' ');
  const known = workers.get(key);
  if (known) return known;
  const started = startWorker(serves, condition, place);
  workers.set(key, started);
  return started;
}

async function startWorker(serves: Serves, condition: Condition, place: Place): Promise<string> {
  const { worker: flaw } = condition;
  const certificates = await workerCertificates(condition);
  const credentials = WorkerCredentials.fromBytes({ ...certificates, mutual: serves === 'mutual' });
  if (flaw === 'expired' || flaw === 'not yet valid') return await startBlindly(credentials, place);
  const discovery = () => new LocalDiscovery('matrix', { folder: mkdtempSync(join(folder, 'w')) });
  const worker = new Worker({
    logger,
    ...(place === 'TCP' ? { host: '127.0.0.1', port: 0 } : { discovery: discovery() }),
    ...(serves !== 'none' && { credentials }),
  });
  cleanups.push(() => worker.stop(0));
  const address = await worker.start();
  expect(address.startsWith(place === 'TCP' ? 'tcp:' : 'unix:')).toBe(true);
  return address;
}

/** A worker neither starts with dates that are wrong, nor takes them later: one that does not look at them. */
async function startBlindly(credentials: WorkerCredentials, place: Place): Promise<string> {
  const source = CredentialSource.pushed(materialOf(credentials));
  const unix = () => `unix://${join(mkdtempSync(join(folder, 'w')), 'socket')}`;
  const worker = new WorkerCore({
    env: systemEnv,
    limits: defaultLimits,
    transports: [grpcTransport({ credentials: source, warn: none })],
    address: place === 'TCP' ? 'tcp://127.0.0.1:0' : unix(),
  });
  cleanups.push(() => worker.stop(0));
  return await worker.start();
}

async function poolOptions(row: Row, way: Way, place: Place): Promise<PoolOptions> {
  const { condition, serves } = row;
  const isPlain = (serves === 'none') !== (condition.plain === true);
  if (way === 'spawned') {
    const transport = place === 'TCP' ? 'tcp' : 'unix';
    const own = workerCertificates(condition);
    const secure = isPlain ? {} : { credentials: await callerCredentials(row, own) };
    return { size: 1, transport, ...secure };
  }
  const discovery = new StaticDiscovery([await workerFor(row, place)]);
  const flaw = condition.caller === 'none' ? undefined : condition.caller;
  const secure = isPlain ? {} : { credentials: await callerCredentials(row, issue(flaw)) };
  return { discovery, ...secure };
}

interface Seen {
  readonly outcome: Outcome;
  readonly error?: unknown;
  readonly runs: Trace;
}

async function call(row: Row, way: Way, place: Place): Promise<Seen> {
  const runs = trace(folder);
  let pool: WorkerPool;
  try {
    pool = await WorkerPool.open({ logger, ...(await poolOptions(row, way, place)) });
  } catch (error) {
    return { outcome: 'refused', error, runs };
  }
  try {
    const given = await once
      .on(pool)(runs.path, 'ran')
      .catch((error: unknown) => ({ error }));
    if (given === 'ran') return { outcome: 'connects', runs };
    const { error } = given as { error: Error };
    return { outcome: (error.cause as AuthenticationError).reason, error, runs };
  } finally {
    await pool.close({ grace: 0 });
  }
}

const keyOf = (row: Row, way: Way, place: Place) =>
  [row.serves, row.condition.name, way, place].join(', ');

const all = ROWS.flatMap((row) =>
  WAYS.flatMap((way) => PLACES.map((place) => ({ row, way, place }))),
);
const cells = all
  .filter(({ row, way }) => !isNothing(row[way]))
  .map((cell) => ({ ...cell, name: keyOf(cell.row, cell.way, cell.place) }));
const seen = new Map<string, Seen>();

beforeAll(async () => {
  [authority, other] = await Promise.all([Authority.make(), Authority.make()]);
  // Each of them waits for most of its time.
  const found = cells.filter(({ way }) => way === 'found');
  const spawned = cells.filter(({ way }) => way === 'spawned');
  const see = async ({ row, way, place, name }: (typeof cells)[number]) => {
    seen.set(name, await call(row, way, place));
  };
  await Promise.all(found.map(see));
  await Promise.all(spawned.map(see));
}, 60_000);

afterAll(() => {
  const [head = [], ...rows] = matrixOf((row, way, place) => {
    const outcome = seen.get(keyOf(row, way, place))?.outcome ?? row[way];
    return describeOutcome(outcome);
  });
  console.log(`\n${table(head, rows)}`);
});

describe('a call', () => {
  test.each(cells)('$name', ({ row, way, name }) => {
    const { outcome, error, runs } = seen.get(name) as Seen;
    expect(outcome).toBe(row[way]);
    expect(runs.lines).toEqual(outcome === 'connects' ? ['ran'] : []);
    if (outcome === 'connects') return;
    if (outcome === 'refused') {
      expect(error).toBeInstanceOf(CredentialsError);
      expect(error).toMatchObject({ code: 'CREDENTIALS' });
      return;
    }
    expect(error).toBeInstanceOf(NoWorkersAvailable);
    expect(error).toMatchObject({ code: 'NO_WORKERS_AVAILABLE' });
    const { cause, message } = error as NoWorkersAvailable & { cause: Error };
    expect(cause).toBeInstanceOf(AuthenticationError);
    expect(cause).toMatchObject({ code: 'AUTHENTICATION', reason: outcome });
    // All but where the worker is.
    expect(message).toContain(cause.message.replace(/^\S+: /, ''));
  });
});

test.each(['expired', 'not-yet-valid'] as const)(
  'a worker does not start with a certificate that is %s',
  async (dates) => {
    const credentials = WorkerCredentials.fromBytes(await authority.issue({ dates }));
    const error = await rejection(new Worker({ credentials, host: '127.0.0.1' }).start());
    expect(error).toBeInstanceOf(CredentialsError);
  },
);
