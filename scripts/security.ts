/**
 * Writes the tables of `docs/security.md`: who connects to whom, which `test/integration/matrix.test.ts` tries, and the
 * limits on peers.
 *
 *     node --import tsx scripts/security.ts [--check]
 *
 * `--check` writes nothing and fails when the committed page is not what the rows give.
 */
import { type LimitRow, PEER_LIMITS } from '../src/security/limits.ts';
import { describeOutcome, matrixOf, NOTES } from '../test/security/matrix.ts';
import { table, writeTables } from './tables.ts';

const POWERS = ['bytes', 'KiB', 'MiB', 'GiB'];

writeTables('security.md', { matrix: matrix(), limits: limits() }, 'npm run security');

function matrix(): string {
  const [head = [], ...rows] = matrixOf((row, way) => describeOutcome(row[way]));
  const notes = Object.values(NOTES).map((note, index) => `${index + 1}. ${note}\n`);
  return `${table(head, rows)}\n${notes.join('')}`;
}

function limits(): string {
  return table(
    ['limit', 'default', 'a breach ends', 'why'],
    Object.entries(PEER_LIMITS).map(([name, row]) => [
      `\`${name}\``,
      amount(row),
      row.ends === 'nothing' ? 'nothing' : `the ${row.ends}`,
      row.reason,
    ]),
  );
}

function amount({ unit, default: value }: LimitRow): string {
  if (unit === 'number') return value.toLocaleString('en');
  if (unit !== 'bytes') return `${value.toLocaleString('en')} ${unit}`;
  let power = 0;
  let left = value;
  while (left >= 1024 && left % 1024 === 0 && power < POWERS.length - 1) {
    left /= 1024;
    power += 1;
  }
  return `${left} ${POWERS[power]}`;
}
