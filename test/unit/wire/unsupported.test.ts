import { createSecretKey, webcrypto } from 'node:crypto';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { encodeArgs } from '../../../src/wire/value.ts';
import { refusal } from './helpers.ts';

const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Module: new (bytes: Uint8Array) => object };
};
const wasm = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

function argumentsOf(..._args: unknown[]): IArguments {
  // biome-ignore lint/complexity/noArguments: what is tested
  return arguments;
}

/** A timer that is over already. */
function timer<T>(set: (fn: () => void) => T, clear: (timer: T) => void): T {
  const made = set(() => {});
  clear(made);
  return made;
}

class Request {}

describe('refused, with a hint', () => {
  const cases: [name: string, value: unknown, message: RegExp][] = [
    ['arguments', argumentsOf(1, 2), /an arguments object .*\[\.\.\.arguments\]/],
    ['Math', Math, /Math cannot travel .*its own/],
    ['Atomics', Atomics, /Atomics cannot travel .*its own/],
    ['a Blob', new Blob(['x']), /a Blob or File .*arrayBuffer/],
    ['a File', new File(['x'], 'name'), /a Blob or File .*arrayBuffer/],
    ['a FormData', new FormData(), /a FormData .*\[\.\.\.form\]/],
    ['a Request', new globalThis.Request('http://a/'), /a Request .*url/],
    ['a Response', new Response('x'), /a Response .*status/],
    ['an AbortController', new AbortController(), /an AbortController .*with\(\{ signal \}\)/],
    ['an AbortSignal', new AbortController().signal, /an AbortSignal .*with\(\{ signal \}\)/],
    ['a MessagePort', new MessageChannel().port1, /a MessagePort .*routines/],
    ['a KeyObject', createSecretKey(Buffer.alloc(16)), /a KeyObject .*export/],
    ['a WebAssembly.Module', new WebAssembly.Module(wasm), /a WebAssembly\.Module .*bytes/],
    ['a socket', new Socket(), /a stream/],
    ['a timer', timer(setTimeout, clearTimeout), /a timer .*time to wait/],
    ['an immediate', timer(setImmediate, clearImmediate), /a timer .*time to wait/],
    ['an iterator of an array', [1].values(), /an iterator .*Array\.from/],
    ['an iterator of a Map', new Map().entries(), /an iterator .*Array\.from/],
    ['an iterator of a Set', new Set().values(), /an iterator .*Array\.from/],
    ['an iterator of a text', 'a'[Symbol.iterator](), /an iterator .*Array\.from/],
    ['a class of the program with such a name', new Request(), /an instance of Request/],
  ];

  test.each(cases)('%s', (_name, value, message) => {
    const error = refusal(() => encodeArgs([{ value }]));
    expect(error.path).toBe('args[0].value');
    expect(error.message).toMatch(message);
  });

  test('a CryptoKey', async () => {
    const algorithm = { name: 'AES-GCM', length: 128 };
    const key = await webcrypto.subtle.generateKey(algorithm, true, ['encrypt']);
    expect(refusal(() => encodeArgs([key])).message).toMatch(/a CryptoKey .*exportKey/);
  });
});
