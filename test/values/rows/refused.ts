import { createSecretKey } from 'node:crypto';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { routine } from '../../../src/index.ts';
import type { Group, RefusedRow } from '../row.ts';
import { Circle, double } from './names.ts';

const UNREGISTERED =
  'register its class (`@serializable`, or `registerClass(Class)`), or pass plain data';
const BESIDE = 'pass them in an object beside it';
const INSTEAD = 'pass a routine, by itself and not by its `with` or `on`, or plain data';

const hooks = () => ({ onDone: () => 1 });

class Thing {
  readonly value = 1;
}

class Names extends Map<string, string> {}

function list(..._items: unknown[]): IArguments {
  // biome-ignore lint/complexity/noArguments: what is tested
  return arguments;
}

/** Each level is an array, so that the path says nothing but that it is deep. */
function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i += 1) value = [value];
  return value;
}

function circles(count: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < count; i += 1) value = [new Circle(1, [value])];
  return value;
}

function trapped(trap: 'get' | 'ownKeys' | 'getPrototypeOf'): object {
  return new Proxy(
    { x: 1 },
    {
      [trap]() {
        throw new Error('trap');
      },
    },
  );
}

/** Says that it has more items than any array. */
function endless(list: number[]): number[] {
  return new Proxy(list, {
    get: (target, key) => (key === 'length' ? 2 ** 32 : Reflect.get(target, key)),
  });
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

function resizable(): ArrayBuffer {
  const Resizable = ArrayBuffer as unknown as new (
    size: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer;
  return new Resizable(8, { maxByteLength: 16 });
}

function growing(): Map<string, unknown> {
  const map = new Map<string, unknown>();
  map.set('a', {
    get grow() {
      map.set(`k${map.size}`, 1);
      return 1;
    },
  });
  return map;
}

const rows: readonly RefusedRow[] = [
  {
    type: 'functions that are no routines',
    says: 'a function cannot travel',
    advice: INSTEAD,
    examples: {
      'a function': () => () => 1,
      'a routine with options': () => double.with({ timeout: 5 }),
      'the plain function of a routine': () => double.local,
      'a function by value with options': () => routine.inline((x: number) => x).with({}),
      'in an object': [hooks, '.onDone'],
      'deep inside': [() => ({ items: [0, 1, 2, hooks()] }), '.items[3].onDone'],
      'below a key that needs quotes': [() => ({ 'a-b': hooks() }), '["a-b"].onDone'],
      'in a Map': [() => new Map([['key', hooks()]]), '.get("key").onDone'],
      'in a Map of objects': [() => new Map([[{}, hooks()]]), '.values()[0].onDone'],
      'in a key of a Map': [() => new Map([[hooks(), 1]]), '.keys()[0].onDone'],
      'in a Set': [() => new Set([1, hooks()]), '.values()[1].onDone'],
      'in an object without a prototype': [
        () => Object.assign(Object.create(null), hooks()),
        '.onDone',
      ],
    },
  },
  {
    type: 'classes that are not registered',
    says: ', which is not registered, cannot travel',
    advice: 'register it (`@serializable`, or `registerClass(Class)`)',
    examples: {
      'a class': () => Thing,
      'one that extends a registered one': [() => [class extends Circle {}], '[0]'],
    },
  },
  {
    type: 'symbols',
    says: 'a symbol cannot travel',
    advice: 'pass a string',
    examples: {
      'a symbol': () => Symbol('s'),
      'a well-known one': [() => [Symbol.iterator], '[0]'],
    },
  },
  {
    type: 'properties with a symbol for a key',
    says: 'a property whose key is a symbol',
    advice: 'use a string for the key',
    examples: { 'of an object': [() => ({ [Symbol('s')]: 1 }), '[Symbol(s)]'] },
  },
  {
    type: 'promises',
    says: 'a promise cannot travel',
    advice: 'await it first',
    examples: {
      // A routine that returns a promise, or a generator that yields one, gives what it resolves to.
      'in an object': [() => ({ later: Promise.resolve(1) }), '.later'],
    },
  },
  {
    type: '`WeakMap`, `WeakSet`, `WeakRef`',
    says: 'a Weak',
    advice: 'pass',
    arrives: 'refused: pass a `Map`, a `Set`, or what it refers to',
    examples: {
      WeakMap: () => new WeakMap(),
      WeakSet: () => new WeakSet(),
      WeakRef: () => new WeakRef({}),
    },
  },
  {
    type: 'streams and sockets',
    says: 'a stream cannot travel',
    advice: 'pass what it carries, or let the routine open it',
    examples: {
      'of Node': () => new Duplex(),
      'to read': () => new ReadableStream(),
      'to write': () => new WritableStream(),
      'a socket': [() => ({ socket: new Socket() }), '.socket'],
    },
  },
  {
    type: 'generators',
    says: 'a generator cannot travel',
    advice: 'pass an array, `Array.from(it)`, or make a routine of the generator function',
    examples: {
      sync: () => (function* () {})(),
      async: () => (async function* () {})(),
    },
  },
  {
    type: 'iterators',
    says: 'an iterator cannot travel',
    advice:
      'pass what it iterates over, or an array, `Array.from(it)`; ' +
      'if a compiler made it of a generator, set its target to ES2018 or later',
    examples: {
      'of an array': () => [1].values(),
      'as tsc makes them of async generators': () => ({
        next: () => {},
        [Symbol.asyncIterator]() {
          return this;
        },
      }),
      'of a Map': () => new Map().entries(),
    },
  },
  {
    type: '`AbortSignal`, `AbortController`',
    says: 'an Abort',
    advice: 'give the call its signal with `.with({ signal })`',
    examples: {
      'a signal': () => new AbortController().signal,
      'its controller': () => new AbortController(),
    },
  },
  {
    type: '`Blob`, `File`',
    says: 'a Blob or File cannot travel',
    advice: 'pass its bytes, `new Uint8Array(await blob.arrayBuffer())`',
    examples: { 'a Blob': () => new Blob(['x']), 'a File': () => new File(['x'], 'name') },
  },
  {
    type: '`FormData`',
    says: 'a FormData cannot travel',
    advice: 'pass its entries, `[...form]`',
    examples: { 'a form': () => new FormData() },
  },
  {
    type: '`Request`, `Response`',
    says: 'a Re',
    advice: 'headers and the bytes of its body',
    arrives: 'refused: pass its parts, and the bytes of its body',
    examples: {
      'a Request': () => new Request('http://example.test/'),
      'a Response': () => new Response('x'),
    },
  },
  {
    type: '`MessagePort`, `BroadcastChannel`',
    says: 'cannot travel',
    advice: 'let the processes call routines of each other instead',
    examples: {
      'a port': () => new MessageChannel().port1,
      'a channel': () => {
        const channel = new BroadcastChannel('skein');
        channel.close();
        return channel;
      },
    },
  },
  {
    type: 'keys',
    says: 'a KeyObject cannot travel',
    advice: 'export it first, `key.export()`',
    examples: { 'a secret': () => createSecretKey(Buffer.from('secret')) },
  },
  {
    type: '`WebAssembly.Module`',
    says: 'a WebAssembly.Module cannot travel',
    advice: 'pass the bytes that it was compiled from',
    examples: {
      empty: () => {
        const { WebAssembly } = globalThis as unknown as {
          WebAssembly: { Module: new (bytes: Uint8Array) => object };
        };
        return new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
      },
    },
  },
  {
    type: 'timers',
    says: 'a timer cannot travel',
    advice: 'pass the time to wait, and set it over there',
    examples: {
      'a timeout': () => {
        const timer = setTimeout(() => {}, 0);
        clearTimeout(timer);
        return timer;
      },
    },
  },
  {
    type: 'an `arguments` object',
    says: 'an arguments object cannot travel',
    advice: 'pass an array, `[...arguments]`',
    examples: { 'of two': () => list('a', 'b') },
  },
  {
    type: '`Math`, `JSON`, `Reflect`, `Atomics`, `Intl`, `WebAssembly`',
    says: 'cannot travel',
    advice: 'every process has its own',
    examples: { Math: () => Math, Atomics: [() => ({ Atomics }), '.Atomics'] },
  },
  {
    type: '`globalThis`, `process`',
    says: 'globalThis or process cannot travel',
    advice: 'every process has its own',
    examples: { globalThis: [() => ({ it: globalThis }), '.it'], process: () => process },
  },
  {
    type: '`process.env`',
    says: 'process.env cannot travel',
    advice: 'pass a copy, `{ ...process.env }`',
    examples: { 'process.env': () => process.env },
  },
  {
    type: 'boxed symbols',
    says: 'a boxed symbol cannot travel',
    advice: 'pass a string',
    examples: { 'a symbol': () => Object(Symbol('s')) },
  },
  {
    type: 'instances of classes that are not registered',
    says: 'an instance of',
    advice: UNREGISTERED,
    examples: {
      'of a class': () => new Thing(),
      'of a class that extends a built-in one': [() => [1, new Names()], '[1]'],
      'of a class without a name': () => new (class {})(),
      'of a class of the platform': () => new Intl.NumberFormat('en'),
    },
  },
  {
    type: 'objects that inherit from another object',
    says: 'an object that inherits from another one',
    advice: 'pass a plain object with all that it should have',
    examples: { 'from a plain one': () => Object.create({ inherited: 1 }) },
  },
  {
    type: 'objects that are not what their prototype says',
    says: 'reading it failed',
    advice: 'TypeError',
    arrives: 'refused: reading it failed',
    examples: {
      'a false Map': () => Object.create(Map.prototype),
      'a false Date': () => Object.create(Date.prototype),
      'a false Uint8Array': [() => [Object.create(Uint8Array.prototype)], '[0]'],
    },
  },
  {
    type: 'what throws when it is read, such as a Proxy or a getter',
    says: 'reading it failed',
    advice: '(',
    arrives: 'refused: reading it failed; what was thrown is the `cause`',
    examples: {
      'a Proxy that throws on get': [() => ({ p: trapped('get') }), '.p.x'],
      'a Proxy that throws on ownKeys': [() => ({ p: trapped('ownKeys') }), '.p'],
      'a Proxy that throws on getPrototypeOf': [() => ({ p: trapped('getPrototypeOf') }), '.p'],
      'a revoked Proxy': [() => ({ p: revoked() }), '.p'],
      'a getter': [
        () => ({
          get late() {
            throw new Error('not now');
          },
        }),
        '.late',
      ],
    },
  },
  {
    type: 'arrays with properties of their own',
    says: 'an array with properties of its own',
    advice: BESIDE,
    examples: {
      'a match of a RegExp': () => /b/.exec('abc'),
      'a long array': () => Object.assign(Array(99).fill(1), { x: 1 }),
    },
  },
  {
    type: 'collections, dates and the like with properties of their own',
    says: 'with properties of its own',
    advice: BESIDE,
    examples: {
      'a Map': () => Object.assign(new Map(), { x: 1 }),
      'a Set': () => Object.assign(new Set(), { [Symbol('s')]: 1 }),
      'a Date': () => Object.assign(new Date(0), { x: 1 }),
      'a RegExp': () => Object.assign(/x/, { x: 1 }),
      'an ArrayBuffer': () => Object.assign(new ArrayBuffer(1), { x: 1 }),
    },
  },
  {
    type: '`SharedArrayBuffer`, and views of it',
    says: 'a SharedArrayBuffer cannot travel',
    advice: 'processes share no memory; pass a copy, `new Uint8Array(shared).slice()`',
    examples: {
      'the buffer': () => new SharedArrayBuffer(8),
      'a view of it': [() => ({ view: new Int32Array(new SharedArrayBuffer(8)) }), '.view'],
    },
  },
  {
    type: 'resizable `ArrayBuffer`, and views of it',
    says: 'a resizable ArrayBuffer cannot travel',
    advice: 'pass a copy, `buffer.slice()` or `view.slice()`',
    examples: {
      'the buffer': resizable,
      'a view of it': [() => ({ view: new Uint8Array(resizable(), 2, 4) }), '.view'],
      'a view that grows with it': [() => [new DataView(resizable())], '[0]'],
    },
  },
  {
    type: 'an `ArrayBuffer` that was transferred elsewhere',
    says: 'a detached ArrayBuffer',
    advice: 'its bytes were transferred elsewhere',
    examples: {
      'the buffer': detached,
      'a view of it': [
        () => {
          const view = new Uint8Array(8);
          structuredClone(view.buffer, { transfer: [view.buffer] });
          return { view };
        },
        '.view',
      ],
    },
  },
  {
    type: 'nesting beyond 1,000 levels',
    says: 'a value nested more than 1000 levels deep',
    advice: 'pass a flatter one',
    examples: {
      '1,001 levels': [() => nested(1_001), /^\[0\][[\]0]+…[[\]0]+$/],
      '100,000 levels': [() => ({ list: nested(100_000) }), /^\.list\[0\][[\]0]+…[[\]0]+$/],
      '251 instances, each in two arrays': [() => circles(251), /^\[0\]\.inside\[0\].*….*inside/],
    },
  },
  {
    type: 'arrays with more than 1,000,000 empty places',
    says: 'an array with more than 1000000 empty places',
    advice: 'pass a Map',
    examples: { 'the longest': () => new Array(2 ** 32 - 1) },
  },
  {
    type: 'lengths that are a lie: arrays',
    says: 'an array whose length is none',
    advice: 'pass a copy',
    examples: {
      'a Proxy': [() => ({ list: endless(Array(99).fill(1)) }), '.list'],
    },
  },
  {
    type: 'lengths that are a lie, or change: `Map` and `Set`',
    says: 'a collection that changes while it is read',
    advice: 'pass a copy',
    examples: {
      'a size too large': () => Object.defineProperty(new Map(), 'size', { value: 5 }),
      'a size too small': () => Object.defineProperty(new Set([1, 2]), 'size', { value: 1 }),
      'a Map that grows while it is read': growing,
    },
  },
];

export const refused: Group<RefusedRow> = { title: 'Refused', file: 'refused.ts', rows };
