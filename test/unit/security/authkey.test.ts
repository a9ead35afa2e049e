import { inspect } from 'node:util';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  Authkey,
  type AuthkeyGiven,
  decodeAuthkey,
  encodeAuthkey,
} from '../../../src/security/authkey.ts';
import { Challenges, MAX_NONCES, NONCE_LIFE_MS } from '../../../src/security/challenges.ts';

const secret = 'größer als sechzehn Bytes';
const exchange = {
  method: '/skein.v1.Worker/Link',
  nonce: Buffer.alloc(32, 1),
  clientNonce: Buffer.alloc(32, 2),
};

afterEach(() => vi.restoreAllMocks());

describe('an authkey', () => {
  test('has the proofs that proto/skein/v1/auth.proto says', () => {
    // Made by Python's hmac.
    const proof = new Authkey('sixteen bytes or more').proof('client', exchange);
    expect(proof.toString('hex')).toBe(
      '9fd589a51238de38174699ea2502b2b34ac0b8043248efb065942ee939cdac6b',
    );
  });

  test('takes a proof that was made with the same key for the same thing only', () => {
    const key = new Authkey(secret);
    const proof = new Authkey(Buffer.from(secret)).proof('client', exchange);
    expect(key.isProof(proof, 'client', exchange)).toBe(true);
    expect(key.isProof(proof, 'server', exchange)).toBe(false);
    expect(new Authkey(`${secret} `).isProof(proof, 'client', exchange)).toBe(false);
    expect(key.isProof(proof.subarray(1), 'client', exchange)).toBe(false);
    const { nonce, clientNonce } = exchange;
    for (const other of [
      { method: '/skein.v1.Worker/Stop' },
      { nonce: clientNonce },
      { clientNonce: nonce },
    ]) {
      expect(key.isProof(proof, 'client', { ...exchange, ...other })).toBe(false);
    }
  });

  test.each(['', new Uint8Array(), undefined, 7, {}])('is not %s', (given) => {
    expect(() => new Authkey(given as AuthkeyGiven)).toThrow(/^authkey (is empty|must be text)/);
  });

  test('shows its secret to nobody who prints it', () => {
    const options = { showHidden: true, depth: 9, getters: true };
    const printed = inspect(new Authkey(secret), options) + JSON.stringify(new Authkey(secret));
    expect(printed).not.toContain('Bytes');
    expect(printed).not.toContain(Buffer.from(secret).toString('hex').slice(0, 8));
  });

  test('that is short is warned of, once, and without a word of it', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    new Authkey('exactly 16 bytes');
    expect(warn).not.toHaveBeenCalled();
    for (const short of ['tiny secret', 'other one']) new Authkey(short);
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('11 bytes'), 'SkeinSecurityWarning'],
    ]);
    expect(String(warn.mock.calls)).not.toContain('tiny');
  });

  test.each([secret, Buffer.of(0, 255, 128, 10)])('passes between processes as text', (given) => {
    const passed = JSON.parse(JSON.stringify(encodeAuthkey(given)));
    expect(decodeAuthkey(passed)).toEqual(Buffer.from(given as string));
  });
});

describe('a challenge', () => {
  test('is good once', () => {
    const challenges = new Challenges(() => 0);
    const nonce = challenges.issue();
    expect(nonce.equals(challenges.issue())).toBe(false);
    expect([challenges.take(nonce), challenges.take(nonce)]).toEqual([true, false]);
  });

  test('is good for its time, and where it was given out', () => {
    let now = 0;
    const challenges = new Challenges(() => now);
    const [early, late] = [challenges.issue(), challenges.issue()];
    expect(new Challenges(() => now).take(early)).toBe(false);
    now = NONCE_LIFE_MS - 1;
    expect(challenges.take(early)).toBe(true);
    now = NONCE_LIFE_MS;
    expect(challenges.take(late)).toBe(false);
  });

  test('is forgotten when too many follow that nobody answers', () => {
    const challenges = new Challenges(() => 0);
    const nonces = Array.from({ length: 1_000 }, () => challenges.issue());
    const good = nonces.map((nonce) => challenges.take(nonce));
    expect(good.lastIndexOf(false)).toBe(1_000 - MAX_NONCES - 1);
    expect(good.filter(Boolean)).toHaveLength(MAX_NONCES);
  });
});
