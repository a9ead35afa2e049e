import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { materialOf, WorkerCredentials } from '../../../src/security/credentials.ts';
import { identityOf, nameProblem } from '../../../src/security/names.ts';
import {
  chainProblem,
  dateProblem,
  ownNameProblem,
} from '../../../src/security/own-certificate.ts';
import { Authority, type Certificates } from '../../integration/certificates.ts';

let authority: Authority;

beforeAll(async () => {
  authority = await Authority.make();
});

const material = (certificates: Certificates) =>
  materialOf(WorkerCredentials.fromBytes(certificates));

describe('the names of a certificate', () => {
  test('are those that can stand for someone', async () => {
    const names = ['web.my-app', '127.0.0.1', 'spiffe://my-app/web'];
    const { cert } = await authority.issue({ names, subject: 'web' });
    const identity = identityOf(new X509Certificate(cert));
    expect(identity.names).toEqual(['web.my-app', 'spiffe://my-app/web']);
    expect(identity.subject).toBe('CN=web');
    expect(identity.fingerprint).toMatch(/^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  });

  test('of one kind do not pass for those of another', () => {
    const subjectAltName = 'DNS:spiffe://my-app/web, DNS:a@my-app, email:web@my-app, URI:urn:web';
    const certificate = { subjectAltName } as X509Certificate;
    expect(identityOf(certificate).names).toEqual(['web@my-app', 'urn:web']);
  });

  test.each([
    ['a.example', 'DNS:b.example, DNS:a.example', true],
    ['A.Example', 'DNS:a.example', true],
    ['x.app.example', 'DNS:*.app.example', true],
    ['x.y.app.example', 'DNS:*.app.example', false],
    ['127.0.0.1', 'IP Address:127.0.0.1', true],
    ['127.0.0.1', 'DNS:127.0.0.1', false],
    ['spiffe://app/worker', 'URI:spiffe://app/worker', true],
    ['spiffe://app/worker', 'URI:spiffe://app/worker/2', false],
    ['spiffe://app/worker', 'DNS:spiffe://app/worker', false],
    // A name that holds what looks like another one.
    ['spiffe://app/worker', 'URI:"spiffe://evil/, URI:spiffe://app/worker"', false],
    ['a.example', 'URI:"spiffe://evil, DNS:a.example"', false],
    ['a.example', 'email:x@a.example', false],
    ['a.example', undefined, false],
    ['a.example', '', false],
  ])('%s among %s: %s', (expected, names, fits) => {
    expect(nameProblem(expected, names) === undefined).toBe(fits);
  });

  test('are no common names', async () => {
    const { cert } = await authority.issue({
      names: ['spiffe://app/other'],
      subject: 'worker.app',
    });
    const problem = nameProblem('worker.app', new X509Certificate(cert).subjectAltName);
    expect(problem).toBe('its certificate is for spiffe://app/other, and not for worker.app');
  });
});

describe('the own certificate', () => {
  test('is good within its dates', async () => {
    expect(dateProblem(material(await authority.issue()))).toBeUndefined();
    const expired = material(await authority.issue({ dates: 'expired' }));
    expect(dateProblem(expired)).toMatchObject({ reason: 'expired' });
    const early = material(await authority.issue({ dates: 'not-yet-valid' }));
    expect(dateProblem(early)).toMatchObject({ reason: 'not-yet-valid' });
  });

  test('is believed when one of ca has signed it, or has signed who has', async () => {
    const between = await (await authority.intermediate()).intermediate();
    const far = await between.issue();
    expect(chainProblem(material(await authority.issue()))).toBeUndefined();
    expect(chainProblem(material(far))).toBeUndefined();
    const { ca } = await Authority.make();
    const problem = chainProblem(material({ ...far, ca }));
    expect(problem).toMatchObject({ reason: 'wrong-ca' });
    expect(chainProblem(material({ ...far, ca: ca + far.ca }))).toBeUndefined();
    // Without those between, nobody knows who has signed it.
    const [leaf = ''] = far.cert.split(/(?<=-----END CERTIFICATE-----)/);
    expect(chainProblem(material({ ...far, cert: leaf }))).toMatchObject({ reason: 'wrong-ca' });
  });

  test('has the identity, or the name of where it is dialed', async () => {
    const certificates = await authority.issue({ names: ['localhost', 'workers.app'] });
    const plain = material(certificates);
    expect(ownNameProblem(plain, 'localhost')).toBeUndefined();
    expect(ownNameProblem(plain, '10.0.0.7')).toMatchObject({ reason: 'wrong-name' });
    const named = { ...plain, identity: 'workers.app' };
    expect(ownNameProblem(named, '10.0.0.7')).toBeUndefined();
  });
});
