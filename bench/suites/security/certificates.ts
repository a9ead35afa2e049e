/** Certificates for what is measured, by the authority of the tests. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Of `test/integration/certificates.ts`, which is not built with the benchmark. */
interface Tests {
  readonly Authority: { make(): Promise<{ issue(): Promise<object> }> };
  writeCertificates(folder: string, certificates: object): unknown;
}

/** Makes `ca.pem`, `cert.pem` and `key.pem` for this machine, in a folder that the caller removes. */
export async function makeCertificates(): Promise<string> {
  const module = new URL('../../../test/integration/certificates.ts', import.meta.url);
  const { Authority, writeCertificates } = (await import(module.href)) as Tests;
  const folder = mkdtempSync(join(tmpdir(), 'skein-bench-'));
  writeCertificates(folder, await (await Authority.make()).issue());
  return folder;
}
