/**
 * Who connects to whom: for each pair of a worker and a caller what comes of a call. `test/integration/matrix.test.ts`
 * makes each of them, and `npm run security` the table of docs/security.md.
 */
import type { AuthenticationReason } from '../../src/errors.ts';

/** What the worker takes connections by. */
export type Serves = 'none' | 'one-way' | 'mutual';

/** A certificate that is not as it should be. */
export type Flaw = 'wrong CA' | 'expired' | 'not yet valid' | 'wrong name';

export interface Condition {
  readonly name: string;
  /** What is wrong with the worker's certificate. */
  readonly worker?: Flaw;
  /** What is wrong with the caller's; `none`: it has the authority's alone. */
  readonly caller?: Exclude<Flaw, 'wrong name'> | 'none';
  /** What workers are known by: `own`: a name that the worker has, and no address; `other`: a name that it has not. */
  readonly identity?: 'own' | 'other';
  /** One side has credentials, and the other one has none. */
  readonly plain?: true;
}

/** What comes of a call; `refused`: the pool does not open. Any reason: no worker is there for that reason. */
export type Outcome = 'connects' | 'refused' | AuthenticationReason;

/** What a cell says that has nothing to try, and the note that says why. */
export type Nothing = 'no certificate' | 'same side';

export interface Cells {
  /** A worker that is found by its address. */
  readonly found: Outcome | Nothing;
  /** A worker that the pool itself spawns: it has the credentials of the pool. */
  readonly spawned: Outcome | Nothing;
}

export interface Row extends Cells {
  readonly serves: Serves;
  readonly condition: Condition;
}

export const PLACES = ['TCP', 'Unix'] as const;
export type Place = (typeof PLACES)[number];
export const WAYS = ['found', 'spawned'] as const;
export type Way = (typeof WAYS)[number];

const CONDITIONS = {
  right: { name: 'all is right' },
  identity: {
    name: 'known by an identity that its certificate has, in place of the address',
    identity: 'own',
  },
  otherIdentity: { name: 'known by another identity', identity: 'other' },
  workerCa: { name: "the worker's certificate: wrong CA", worker: 'wrong CA' },
  workerExpired: { name: "the worker's certificate: expired", worker: 'expired' },
  workerEarly: { name: "the worker's certificate: not yet valid", worker: 'not yet valid' },
  workerName: { name: "the worker's certificate: wrong name", worker: 'wrong name' },
  callerNone: { name: "the caller's certificate: none", caller: 'none' },
  callerCa: { name: "the caller's certificate: wrong CA", caller: 'wrong CA' },
  callerExpired: { name: "the caller's certificate: expired", caller: 'expired' },
  callerEarly: { name: "the caller's certificate: not yet valid", caller: 'not yet valid' },
  certificates: { name: 'any certificate or identity that is wrong' },
  plain: { name: 'one side has credentials, the other one speaks plain text', plain: true },
} as const satisfies Record<string, Condition>;

type Expected = Readonly<Partial<Record<keyof typeof CONDITIONS, Cells>>>;

const cells = (found: Cells['found'], spawned: Cells['spawned']): Cells => ({ found, spawned });

/** What is wrong with the worker's certificate, a pool that spawns knows beforehand. */
const OF_WORKERS = {
  right: cells('connects', 'connects'),
  identity: cells('connects', 'connects'),
  otherIdentity: cells('worker-wrong-name', 'refused'),
  workerCa: cells('worker-wrong-ca', 'refused'),
  workerExpired: cells('worker-expired', 'refused'),
  workerEarly: cells('worker-not-yet-valid', 'refused'),
  workerName: cells('worker-wrong-name', 'refused'),
} as const;

const EXPECTED: Readonly<Record<Serves, Expected>> = {
  none: {
    right: cells('connects', 'connects'),
    certificates: cells('no certificate', 'no certificate'),
    plain: cells('plaintext', 'same side'),
  },
  // Nobody asks for the caller's.
  'one-way': {
    ...OF_WORKERS,
    callerNone: cells('connects', 'same side'),
    callerCa: cells('connects', 'same side'),
    callerExpired: cells('connects', 'same side'),
    callerEarly: cells('connects', 'same side'),
    plain: cells('tls', 'same side'),
  },
  mutual: {
    ...OF_WORKERS,
    callerNone: cells('no-client-certificate', 'refused'),
    callerCa: cells('caller-wrong-ca', 'same side'),
    callerExpired: cells('caller-expired', 'same side'),
    callerEarly: cells('caller-not-yet-valid', 'same side'),
    plain: cells('tls', 'same side'),
  },
};

export const ROWS: readonly Row[] = Object.entries(EXPECTED).flatMap(([serves, expected]) =>
  Object.entries(expected).map(([name, row]) => ({
    serves: serves as Serves,
    condition: CONDITIONS[name as keyof typeof CONDITIONS],
    ...row,
  })),
);

export const NOTES: Readonly<Record<Nothing, string>> = {
  'no certificate': 'neither side has a certificate with which something could be wrong',
  'same side':
    'a pool gives the workers that it spawns its own credentials, so the two sides do not differ',
};

export function isNothing(cell: Outcome | Nothing): cell is Nothing {
  return cell in NOTES;
}

/** The errors of a cell, by class, code and reason. */
export function describeOutcome(cell: Outcome | Nothing): string {
  if (cell === 'connects') return 'connects';
  if (isNothing(cell)) return `— (${1 + Object.keys(NOTES).indexOf(cell)})`;
  if (cell === 'refused') return '`CredentialsError` CREDENTIALS, at `open`';
  return `\`NoWorkersAvailable\` NO_WORKERS_AVAILABLE: ${cell}`;
}

const SERVES: Readonly<Record<Serves, string>> = {
  none: 'plain text',
  'one-way': 'one-way TLS',
  mutual: 'mutual TLS',
};

/** The table, as head and rows of cells. */
export function matrixOf(
  outcome: (row: Row, way: Way, place: Place) => string,
): readonly (readonly string[])[] {
  const columns = WAYS.flatMap((way) => PLACES.map((place) => [way, place] as const));
  const head = ['the worker takes', 'and', ...columns.map((column) => column.join(', '))];
  const rows = ROWS.map((row) => [
    SERVES[row.serves],
    row.condition.name,
    ...columns.map(([way, place]) => outcome(row, way, place)),
  ]);
  return [head, ...rows];
}
