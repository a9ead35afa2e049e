/** Whether others will believe the own certificate, as far as that can be known without asking them. */
import type { X509Certificate } from 'node:crypto';
import { type Material, parseCertificates } from './material.ts';
import { nameProblem } from './names.ts';

export interface OwnProblem {
  readonly reason: 'expired' | 'not-yet-valid' | 'wrong-ca' | 'wrong-name';
  /** In words, with `the certificate` as its subject. */
  readonly message: string;
}

/** Its dates. @param now milliseconds since 1970 */
export function dateProblem({ cert }: Material, now = Date.now()): OwnProblem | undefined {
  if (cert === undefined) return undefined;
  for (const { validFrom, validTo } of parseCertificates(cert, 'cert')) {
    if (now > Date.parse(validTo)) {
      return { reason: 'expired', message: `the certificate has expired, on ${day(validTo)}` };
    }
    if (now < Date.parse(validFrom)) {
      const message = `the certificate is not valid yet, but from ${day(validFrom)} on`;
      return { reason: 'not-yet-valid', message };
    }
  }
  return undefined;
}

/**
 * Whether who has the same `ca` believes it, as the workers that a pool spawns do. Elsewhere another `ca` may
 * be right.
 */
export function chainProblem({ ca, cert }: Material): OwnProblem | undefined {
  if (cert === undefined) return undefined;
  const [leaf, ...between] = parseCertificates(cert, 'cert');
  const trusted = parseCertificates(ca, 'ca');
  let current: X509Certificate = leaf;
  for (let steps = 0; steps <= between.length; steps += 1) {
    const here = current;
    if (trusted.some((one) => one.raw.equals(here.raw) || isIssued(here, one))) return undefined;
    const next = between.find((one) => isIssued(here, one));
    if (next === undefined || next === here) break;
    current = next;
  }
  return { reason: 'wrong-ca', message: 'the certificate was not signed by one of ca' };
}

/** Whether who dials it under the name, or wants its `identity`, takes it. */
export function ownNameProblem({ cert, identity }: Material, name: string): OwnProblem | undefined {
  if (cert === undefined) return undefined;
  const [leaf] = parseCertificates(cert, 'cert');
  const message = nameProblem(identity ?? name, leaf.subjectAltName);
  return message === undefined ? undefined : { reason: 'wrong-name', message };
}

function isIssued(one: X509Certificate, by: X509Certificate): boolean {
  return one.checkIssued(by) && one.verify(by.publicKey);
}

function day(date: string): string {
  return new Date(date).toISOString();
}
