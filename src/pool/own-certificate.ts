/** Whether a pool could reach the workers that it is about to spawn, by the credentials that they will share. */
import { CredentialsError } from '../errors.ts';
import { type Material, parseCertificates } from '../security/material.ts';
import { identityOf } from '../security/names.ts';
import { chainProblem, dateProblem, ownNameProblem } from '../security/own-certificate.ts';
import { isListed } from '../worker/authorize.ts';
import { NOT_MUTUAL } from '../worker/options.ts';
import { isWildcard } from '../worker/reach.ts';
import type { PoolOptions } from './options.ts';

/**
 * @param listen where they will listen: on Unix sockets, or on TCP on this host
 * @throws CredentialsError that says what to do
 */
export function checkSpawnable(
  material: Material,
  listen: { readonly unix: true } | { readonly host: string },
): void {
  if (material.cert === undefined) {
    throw new CredentialsError(
      'cert and key are missing: the workers that a pool spawns show a certificate, also where mutual is false',
    );
  }
  const problem =
    dateProblem(material) ??
    chainProblem(material) ??
    ownNameProblem(material, 'unix' in listen ? 'localhost' : dialed(listen.host));
  if (problem === undefined) return;
  const remedy = {
    expired: 'give a new one',
    'not-yet-valid': 'wait, or set the clock right',
    'wrong-ca': 'give those two that belong together',
    'wrong-name':
      'take a certificate with that name, or say by credentials.as({ identity }) which one it has',
  }[problem.reason];
  const message = `no worker is spawned, since none could be reached: ${problem.message}. ${remedy}`;
  throw new CredentialsError(message);
}

/**
 * Whether the pool, and its workers among each other, are on the list of those who may call.
 *
 * @throws TypeError that says what to do
 */
export function checkAuthorizesItself(
  { cert, mutual }: Material,
  authorize: PoolOptions['authorize'],
): void {
  if (authorize === undefined || cert === undefined) return;
  if (!mutual) throw new TypeError(NOT_MUTUAL);
  // What a routine says is not known here.
  if (!Array.isArray(authorize)) return;
  const { names } = identityOf(parseCertificates(cert, 'cert')[0]);
  if (isListed(names, authorize)) return;
  const own = names.length === 0 ? 'has no name' : `is for ${names.join(', ')}`;
  throw new TypeError(
    `authorize leaves out the pool itself, whose certificate ${own}: name it, too, since its workers know it by that`,
  );
}

/** How the pool dials what listens at a host of this machine. */
function dialed(host: string): string {
  if (!isWildcard(host)) return host;
  return host.includes(':') ? '::1' : '127.0.0.1';
}
