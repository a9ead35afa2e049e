/** Why nothing can listen at an address. */
import { type Address, formatAddress } from './address.ts';

/**
 * Says what to do.
 *
 * @param code as Node's errors have it
 * @param message what is said where the code tells nothing
 * @param who is to listen there
 */
export function listenProblem(
  address: Address,
  { code, message }: { readonly code?: string | undefined; readonly message: string },
  who = '',
): string {
  const isFile = address.scheme === 'unix';
  const what = `Can't listen on ${placeOf(address, who)}`;
  switch (code) {
    case 'EADDRINUSE':
      return isFile
        ? `${what}: the file exists. A worker listens there, or one that was killed left it: choose another path, or remove the file.`
        : `${what}: the port is taken. Choose another port, or 0 for any that is free.`;
    case 'EACCES':
      return isFile
        ? `${what}: there is no such directory, or this user may not write in it.`
        : `${what}: this user may not use that port. Choose one above 1023, or 0 for any that is free.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${what}: this host has no such address. 0.0.0.0 and [::] stand for all that it has.`;
    default:
      return `${what}: ${message}.`;
  }
}

function placeOf(address: Address, who: string): string {
  // A port that the system is to choose says nothing: it is the host that is wrong.
  if (address.scheme === 'tcp' && address.port === 0) return address.host;
  return `${formatAddress(address)}${who && ` (${who})`}`;
}
