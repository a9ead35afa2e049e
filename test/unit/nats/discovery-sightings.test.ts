import { expect, test } from 'vitest';
import { Roster } from '../../../src/discovery/roster.ts';
import { MAX_WORKERS, Sightings } from '../../../src/nats/discovery-sightings.ts';

function announced(identity: string, number: number) {
  const uid = `${identity}-${number}`;
  const about = { pid: 1, host: 'a', version: '0.1.0' };
  return {
    revision: 1,
    worker: { uid, address: `nats://default/${identity}/${number}`, ...about },
  };
}

test('who announces more workers than are kept leaves room for those of others', () => {
  const roster = new Roster();
  const warnings: string[] = [];
  const warn = (_what: string, message: string) => warnings.push(message);
  const sightings = new Sightings({ roster, goneAfterMs: 6_000, warn });
  for (let i = 0; i < MAX_WORKERS + 10; i += 1) sightings.seen('many', announced('many', i));
  for (let i = 0; i < 3; i += 1) sightings.seen('few', announced('few', i));
  const uids = [...roster.workers].map(({ uid = '' }) => uid);
  expect(uids).toHaveLength(MAX_WORKERS);
  expect(uids.filter((uid) => uid.startsWith('few'))).toEqual(['few-0', 'few-1', 'few-2']);
  expect(warnings[0]).toContain('those beyond are left out');
  // Those that were there first stay.
  expect(uids).toContain('many-0');
  sightings.goodbye('many', { gone: 'many-0', revision: undefined });
  sightings.seen('many', announced('many', 5_000));
  expect([...roster.workers]).toHaveLength(MAX_WORKERS);
});
