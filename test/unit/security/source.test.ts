import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { CredentialsError } from '../../../src/errors.ts';
import {
  type CredentialsProvider,
  materialOf,
  WorkerCredentials,
} from '../../../src/security/credentials.ts';
import { CredentialSource } from '../../../src/security/source.ts';
import { Authority } from '../../integration/certificates.ts';

let one: WorkerCredentials;
let other: WorkerCredentials;
const warnings: string[] = [];
const warn = (message: string) => warnings.push(message);

beforeAll(async () => {
  const authority = await Authority.make();
  one = WorkerCredentials.fromBytes(await authority.issue());
  other = WorkerCredentials.fromBytes(await authority.issue());
});

beforeEach(() => {
  warnings.length = 0;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => void vi.useRealTimers());

/** A provider that gives what `now` is, or throws it. */
function changing(first: WorkerCredentials, reloadable = true) {
  const provider = {
    now: first as WorkerCredentials | Error,
    asked: 0,
    reloadable,
    async credentials() {
      provider.asked += 1;
      if (provider.now instanceof Error) throw provider.now;
      return provider.now;
    },
  };
  return provider;
}

async function seconds(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    // What was asked has answered.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a source of credentials', () => {
  test('has those at once that do not change', async () => {
    const source = new CredentialSource(one, { warn });
    await source.ready();
    await source.refresh();
    expect(source.material).toBe(materialOf(one));
  });

  test('has those of a provider when it is ready', async () => {
    const provider = changing(one, false);
    const source = new CredentialSource(provider, { warn });
    expect(() => source.material).toThrow(CredentialsError);
    await source.ready();
    expect(source.material).toBe(materialOf(one));
    source.watch(() => {});
    await seconds(3);
    await source.refresh();
    expect(provider.asked).toBe(1);
  });

  test('tells those who watch of what a provider changes, once', async () => {
    const provider = changing(one);
    const source = new CredentialSource(provider, { warn });
    await source.ready();
    const seen: unknown[] = [];
    const end = source.watch((material) => seen.push(material));
    await seconds(2);
    expect(seen).toEqual([]);
    provider.now = other;
    await seconds(2);
    expect(seen).toEqual([materialOf(other)]);
    expect(source.material).toBe(materialOf(other));
    end();
    provider.now = one;
    await seconds(2);
    expect(source.material).toBe(materialOf(other));
    await source.refresh();
    expect(source.material).toBe(materialOf(one));
  });

  test('keeps the last good ones, and says why, once a minute', async () => {
    const provider = changing(one);
    const source = new CredentialSource(provider, { warn });
    await source.ready();
    source.watch(() => {});
    provider.now = new Error('the vault is sealed');
    await seconds(1);
    // As when one file was replaced, and the other is about to be.
    expect(warnings).toEqual([]);
    await seconds(40);
    expect(warnings).toEqual([expect.stringContaining('the vault is sealed')]);
    expect(source.material).toBe(materialOf(one));
    await seconds(40);
    expect(warnings).toHaveLength(2);
    provider.now = other;
    await seconds(1);
    expect(source.material).toBe(materialOf(other));
  });

  test('has what a provider gave to another one, when that fails now', async () => {
    const provider = changing(one);
    await new CredentialSource(provider, { warn }).ready();
    provider.now = new Error('the vault is sealed');
    const source = new CredentialSource(provider, { warn });
    await source.ready();
    expect(source.material).toBe(materialOf(one));
    source.watch(() => {});
    await seconds(2);
    expect(warnings).toEqual([expect.stringContaining('the vault is sealed')]);
    provider.now = other;
    await seconds(1);
    expect(source.material).toBe(materialOf(other));
  });

  test('outlives a provider that throws what has no text', async () => {
    const provider = changing(one);
    const source = new CredentialSource(provider, { warn });
    await source.ready();
    provider.now = Object.assign(new Error(), { toString: () => Object.create(null) });
    await source.refresh();
    await source.refresh();
    expect(warnings).toEqual([expect.stringContaining('what it threw has no text')]);
    const failing = changing(one);
    failing.now = provider.now;
    await expect(new CredentialSource(failing, { warn }).ready()).rejects.toThrow(CredentialsError);
  });

  test.each(['expired', 'not-yet-valid'] as const)(
    'does not take one that is %s',
    async (dates) => {
      const provider = changing(one);
      const source = new CredentialSource(provider, { warn });
      await source.ready();
      const authority = await Authority.make();
      provider.now = WorkerCredentials.fromBytes(await authority.issue({ dates }));
      await source.refresh();
      await source.refresh();
      expect(source.material).toBe(materialOf(one));
      expect(warnings).toEqual([
        expect.stringMatching(/the certificate (?:has expired|is not valid)/),
      ]);
    },
  );

  test('warns while it is watched, before the certificate expires and when it has', async () => {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
    const authority = await Authority.make();
    const [from, to] = [new Date(Date.now() - 9_000_000), new Date(Date.now() + 1_100_000)];
    const ending = await authority.issue({ dates: { from, to } });
    const source = new CredentialSource(WorkerCredentials.fromBytes(ending), { warn });
    const end = source.watch(() => {});
    await vi.advanceTimersByTimeAsync(60_000);
    expect(warnings).toEqual([]);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(warnings).toEqual([expect.stringMatching(/^the certificate expires on 2/)]);
    await vi.advanceTimersByTimeAsync(1_100_000);
    expect(warnings[1]).toMatch(/^the certificate has expired, on 2/);
    await vi.advanceTimersByTimeAsync(2 * 3_600_000);
    expect(warnings).toHaveLength(4);
    end();
    await vi.advanceTimersByTimeAsync(2 * 3_600_000);
    expect(warnings).toHaveLength(4);
  });

  test('does not let a provider change who is let in', async () => {
    const provider = changing(one);
    const source = new CredentialSource(provider, { warn });
    await source.ready();
    const { ca, cert, key } = materialOf(other);
    provider.now = WorkerCredentials.fromBytes({ ca, cert, key, mutual: false });
    await source.refresh();
    await source.refresh();
    expect(source.material).toBe(materialOf(one));
    expect(warnings).toEqual([expect.stringContaining('mutual can not change')]);
  });

  test('refuses what gives no credentials', async () => {
    expect(() => new CredentialSource({} as never, { warn })).toThrow('credentials must be of');
    expect(() => new CredentialSource({ credentials: () => one } as never, { warn })).toThrow(
      'whether it is reloadable',
    );
    const wrong: CredentialsProvider = { credentials: () => ({}) as never, reloadable: false };
    await expect(new CredentialSource(wrong, { warn }).ready()).rejects.toThrow(
      'the provider gave no credentials: TypeError: credentials must be of',
    );
    const failing = changing(one);
    failing.now = new Error('the vault is sealed');
    await expect(new CredentialSource(failing, { warn }).ready()).rejects.toThrow(
      /gave no credentials: Error: the vault is sealed/,
    );
  });

  test('is told what to use by another process', () => {
    const source = CredentialSource.pushed(materialOf(one));
    const seen: unknown[] = [];
    source.watch((material) => seen.push(material));
    source.push({ ...materialOf(one) });
    source.push(materialOf(other));
    expect(seen).toEqual([materialOf(other)]);
  });
});
