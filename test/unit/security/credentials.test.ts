import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CredentialsError } from '../../../src/errors.ts';
import { materialOf, WorkerCredentials } from '../../../src/security/credentials.ts';
import { Authority, type Certificates, writeCertificates } from '../../integration/certificates.ts';

let authority: Authority;
let one: Certificates;
let other: Certificates;
const folder = mkdtempSync(join(tmpdir(), 'skein-test-credentials-'));

beforeAll(async () => {
  authority = await Authority.make();
  [one, other] = await Promise.all([authority.issue(), authority.issue()]);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** What `fromBytes` says. */
function refusal(bytes: object): string {
  try {
    WorkerCredentials.fromBytes(bytes as Certificates);
  } catch (error) {
    expect(error).toBeInstanceOf(CredentialsError);
    return (error as CredentialsError).message;
  }
  throw new Error('they were taken');
}

describe('credentials', () => {
  test('are mutual, and want no name of their own, by default', () => {
    const credentials = WorkerCredentials.fromBytes(one);
    expect(credentials).toMatchObject({ mutual: true, identity: undefined });
    expect(credentials.validTo?.getTime()).toBeGreaterThan(Date.now());
    expect(materialOf(credentials)).toMatchObject(one);
  });

  test('are the same from files, from text and from bytes', () => {
    const files = writeCertificates(join(folder, 'same'), one);
    const bytes = {
      ca: Buffer.from(one.ca),
      cert: Buffer.from(one.cert),
      key: Buffer.from(one.key),
    };
    const texts = materialOf(WorkerCredentials.fromBytes(one));
    expect(materialOf(WorkerCredentials.fromFiles(files))).toEqual(texts);
    expect(materialOf(WorkerCredentials.fromBytes(bytes))).toEqual(texts);
  });

  test('may be a CA alone where callers show nothing', () => {
    const credentials = WorkerCredentials.fromBytes({ ca: one.ca, mutual: false });
    expect(credentials).toMatchObject({ mutual: false, validTo: undefined });
  });

  test('take another identity, and leave those as they were that they came from', () => {
    const credentials = WorkerCredentials.fromBytes(one);
    expect(credentials.as({ identity: 'spiffe://app/worker' }).identity).toBe(
      'spiffe://app/worker',
    );
    expect(credentials.identity).toBeUndefined();
    expect(() => credentials.as({ identity: 'a b' })).toThrow('identity must be a name');
    expect(() => credentials.as({ identity: '' })).toThrow(TypeError);
  });

  test('refuse what does not belong together, and say what to do', () => {
    const { ca, cert, key } = one;
    expect(refusal({ cert, key })).toMatch(/^ca is missing/);
    expect(refusal({ ca })).toMatch(/unless mutual is false/);
    expect(refusal({ ca, cert })).toMatch(/^key is missing/);
    expect(refusal({ ca, cert, key: other.key })).toMatch(/key is not the key of the first/);
    expect(refusal({ ca: key, cert, key })).toMatch(/ca has no certificate: it must be PEM/);
    expect(refusal({ ca, cert, key: ca })).toMatch(/key has no private key/);
    expect(refusal({ ca: ca.slice(0, -40), cert, key })).toMatch(/ca is cut off/);
    expect(refusal({ ca: ca + other.cert.slice(0, 100), cert, key })).toMatch(/ca is cut off/);
    const encrypted = key.replaceAll('PRIVATE KEY', 'ENCRYPTED PRIVATE KEY');
    expect(refusal({ ca, cert, key: encrypted })).toMatch(/openssl pkey/);
    expect(() => WorkerCredentials.fromBytes({ ca: 7 as never })).toThrow(TypeError);
  });

  test('name the file that can not be read', () => {
    const files = writeCertificates(join(folder, 'missing'), one);
    const missing = { ...files, key: join(folder, 'nowhere.pem') };
    expect(() => WorkerCredentials.fromFiles(missing)).toThrow(
      `key (${missing.key}): there is no such file`,
    );
    writeFileSync(files.cert, 'no certificate');
    expect(() => WorkerCredentials.fromFiles(files)).toThrow(`cert (${files.cert}) has no`);
  });

  test('show no key, however they are printed, and none in an error', () => {
    const credentials = WorkerCredentials.fromBytes(one);
    const secret = one.key.split('\n')[1] as string;
    const shown = [
      inspect(credentials, { depth: 9, showHidden: true }),
      JSON.stringify(credentials),
    ];
    expect(shown.join()).not.toContain(secret);
    expect(shown.join()).toContain('[redacted]');
    let thrown: unknown;
    try {
      WorkerCredentials.fromBytes({ ...one, key: one.key.replace('BEGIN', 'BEGUN') });
    } catch (error) {
      thrown = error;
    }
    expect(inspect(thrown, { depth: 9, showHidden: true })).not.toContain(secret);
  });
});

describe('watched files', () => {
  test('give the same as long as they are the same, and then the new ones', () => {
    const place = join(folder, 'watched');
    const files = writeCertificates(place, one);
    const provider = WorkerCredentials.watchFiles(files);
    const first = provider.credentials();
    expect(provider.credentials()).toBe(first);
    writeCertificates(place, other);
    expect(materialOf(provider.credentials() as WorkerCredentials)).toMatchObject(other);
  });

  test('throw while they are torn, and then give what they are', () => {
    const place = join(folder, 'torn');
    const files = writeCertificates(place, one);
    const provider = WorkerCredentials.watchFiles(files);
    writeFileSync(files.key, other.key);
    expect(() => provider.credentials()).toThrow(CredentialsError);
    expect(() => provider.credentials()).toThrow('is not the key of the first certificate');
    writeFileSync(files.cert, other.cert);
    expect(materialOf(provider.credentials() as WorkerCredentials)).toMatchObject(other);
    appendFileSync(files.ca, '-----BEGIN CERTIFICATE-----\nMIIB');
    expect(() => provider.credentials()).toThrow('is cut off');
  });

  test('have to be good when they are given', () => {
    expect(() => WorkerCredentials.watchFiles({ ca: join(folder, 'none') })).toThrow(
      CredentialsError,
    );
  });
});
