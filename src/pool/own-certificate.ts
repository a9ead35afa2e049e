/** Whether a pool could reach the workers that it is about to spawn, by the credentials that they will share. */
import { CredentialsError } from '../errors.ts';
import type { Material } from '../security/material.ts';
import { chainProblem, dateProblem, ownNameProblem } from '../security/own-certificate.ts';
import { isWildcard } from '../worker/reach.ts';

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

/** How the pool dials what listens at a host of this machine. */
function dialed(host: string): string {
  if (!isWildcard(host)) return host;
  return host.includes(':') ? '::1' : '127.0.0.1';
}
