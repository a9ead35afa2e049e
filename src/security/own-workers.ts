/** The secrets of the pools of this process, by the addresses of the workers that they spawned. */
const secrets = new Map<string, Uint8Array>();

/** Who has opened a pool may ask its workers how they are, though it never sees their secret. */
export function rememberSecret(addresses: readonly string[], secret: Uint8Array): void {
  for (const address of addresses) secrets.set(address, secret);
}

export function forgetSecret(addresses: readonly string[]): void {
  for (const address of addresses) secrets.delete(address);
}

/** Undefined for what is no worker of this process's pools, or one that has no such secret. */
export function secretOf(address: string): Uint8Array | undefined {
  return secrets.get(address);
}
